//! Hand-written layouts: what is signed, hashed or authenticated is written and read by these two, field by field.
//!
//! Integers are little-endian; a variable field has its length before it. Nothing is allocated from an unchecked
//! length: a field is a slice of the input.

use super::DecodeError;

/// Writes a layout, field after field.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }
    /// An empty layout with memory for so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
    /// A fixed-width field.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    /// One byte.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.fixed(&[value])
    }
    /// Two bytes, little-endian.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.fixed(&value.to_le_bytes())
    }
    /// Four bytes, little-endian.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.fixed(&value.to_le_bytes())
    }
    /// Eight bytes, little-endian.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.fixed(&value.to_le_bytes())
    }
    /// A field of at most 255 bytes behind a one-byte length; a longer one is cut, which its type's bound excludes.
    #[must_use]
    pub fn short(self, bytes: &[u8]) -> Self {
        let cut = bytes.get(..255).unwrap_or(bytes);
        self.u8(cut.len() as u8).fixed(cut)
    }
    /// A field behind a four-byte length.
    #[must_use]
    pub fn long(self, bytes: &[u8]) -> Self {
        self.u32(bytes.len() as u32).fixed(bytes)
    }
    /// The bytes written.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a layout, field after field; [`Reader::done`] refuses what is left over.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    /// The next `length` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(DecodeError)?;
        self.0 = rest;
        Ok(field)
    }
    /// The next `N` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.place().copied()
    }
    /// The next `N` bytes where they lie: a long field is then copied once, to where it belongs.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn place<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(field)
    }
    /// One byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.fixed()?))
    }
    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.fixed()?))
    }
    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.fixed()?))
    }
    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.fixed()?))
    }
    /// A field behind a one-byte length.
    ///
    /// # Errors
    /// The length exceeds what is left.
    pub fn short(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u8()?;
        self.slice(usize::from(length))
    }
    /// A field behind a four-byte length.
    ///
    /// # Errors
    /// The length exceeds what is left.
    pub fn long(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()?;
        self.slice(usize::try_from(length).map_err(|_| DecodeError)?)
    }
    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
    /// Ends the layout.
    ///
    /// # Errors
    /// Bytes are left over.
    pub fn done(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError) }
    }
}
