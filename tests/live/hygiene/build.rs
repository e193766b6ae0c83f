//! How the programs were built: what the kernel is asked for when it loads them, read out of their ELF headers.

use std::path::Path;

use sealpost_tests::processes::programs;

use crate::coverage::source::read;

// Names and numbers of the ELF specification and of glibc's elf.h.
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const DT_RPATH: u64 = 15;
const DT_BIND_NOW: u64 = 24;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS: u64 = 30;
const DF_BIND_NOW: u64 = 8;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_NOW: u64 = 1;
const DF_1_PIE: u64 = 0x0800_0000;

/// What stands in the headers of a program of 64 bits, little-endian.
struct Elf {
    kind: u16,
    /// Kind, flags, place and length of each.
    segments: Vec<(u32, u32, usize, usize)>,
    /// Tag and value of each.
    dynamic: Vec<(u64, u64)>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().unwrap()
}

impl Elf {
    fn of(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..6], *b"\x7fELF\x02\x01", "a program of 64 bits, little-endian");
        let long = |at: usize| u64::from_le_bytes(number(bytes, at)) as usize;
        let short = |at: usize| usize::from(u16::from_le_bytes(number(bytes, at)));
        let (table, size, count) = (long(32), short(54), short(56));
        let segments: Vec<_> = (0..count)
            .map(|number_of| table + number_of * size)
            .map(|at| {
                let word = |at: usize| u32::from_le_bytes(number(bytes, at));
                (word(at), word(at + 4), long(at + 8), long(at + 32))
            })
            .collect();
        let (.., place, length) = *segments.iter().find(|(kind, ..)| *kind == PT_DYNAMIC).expect("it is linked");
        let dynamic = bytes[place..place + length]
            .chunks_exact(16)
            .map(|entry| (u64::from_le_bytes(number(entry, 0)), u64::from_le_bytes(number(entry, 8))))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        Self { kind: u16::from_le_bytes(number(bytes, 16)), segments, dynamic }
    }

    fn has(&self, tag: u64, bits: u64) -> bool {
        self.dynamic.iter().any(|(there, value)| *there == tag && value & bits == bits)
    }

    /// What it lacks.
    fn lacks(&self) -> Vec<&'static str> {
        let segment = |kind: u32| self.segments.iter().find(|(there, ..)| *there == kind);
        let now = self.has(DT_FLAGS, DF_BIND_NOW) || self.has(DT_FLAGS_1, DF_1_NOW) || self.has(DT_BIND_NOW, 0);
        let both = |flags: u32| flags & (PF_W | PF_X) == PF_W | PF_X;
        let holds = [
            ("a position of its own at each start (PIE)", self.kind == ET_DYN && self.has(DT_FLAGS_1, DF_1_PIE)),
            ("tables that are read-only once they are filled (RELRO)", segment(PT_GNU_RELRO).is_some() && now),
            ("a stack that is no code", segment(PT_GNU_STACK).is_some_and(|(_, flags, ..)| flags & PF_X == 0)),
            (
                "segments that are data or code, and never both",
                !self.segments.iter().any(|(kind, flags, ..)| *kind == PT_LOAD && both(*flags)),
            ),
            ("libraries of the system alone", !self.has(DT_RPATH, 0) && !self.has(DT_RUNPATH, 0)),
        ];
        holds.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect()
    }
}

fn lacks(program: &Path) -> Vec<&'static str> {
    Elf::of(&std::fs::read(program).unwrap()).lacks()
}

/// Both programs load where nobody can foretell, with a stack that is no code and tables that nobody rewrites, and take no
/// library from where they were built. With `SEALPOST_TESTED=release` it is the release builds that are looked at.
#[test]
fn programs_are_hardened() {
    for program in [&programs().client, &programs().relay] {
        assert_eq!(lacks(program), [""; 0], "{}", program.display());
    }
}

/// What is looked for is seen where it is missing: the headers of a program, with each of them changed.
#[test]
fn what_is_missing_of_a_program_is_seen() {
    let whole = std::fs::read(&programs().relay).unwrap();
    let bent = |change: &dyn Fn(&mut Elf)| {
        let mut elf = Elf::of(&whole);
        change(&mut elf);
        elf.lacks().len()
    };
    assert_eq!(bent(&|_| {}), 0);
    assert_eq!(bent(&|elf| elf.kind = 2), 1);
    assert_eq!(
        bent(&|elf| elf.dynamic.retain(|(tag, _)| ![DT_FLAGS, DT_BIND_NOW].contains(tag))),
        0,
        "it is said twice"
    );
    assert_eq!(bent(&|elf| elf.dynamic.clear()), 2);
    assert_eq!(bent(&|elf| elf.dynamic.push((DT_RUNPATH, 0))), 1);
    assert_eq!(bent(&|elf| elf.segments.retain(|(kind, ..)| *kind != PT_GNU_STACK)), 1);
    assert_eq!(bent(&|elf| elf.segments.push((PT_LOAD, PF_W | PF_X, 0, 0))), 1);
}

/// In a release, too, a number that overflows in what reads others' bytes stops the process instead of going on with another one.
#[test]
fn releases_check_for_overflow() {
    let manifest = read("Cargo.toml");
    for package in ["sealpost-spec", "sealpost-crypto", "sealpost-relay", "sealpost-client"] {
        let wanted = format!("[profile.release.package.{package}]\noverflow-checks = true\n");
        assert!(manifest.contains(&wanted), "{wanted}");
    }
}
