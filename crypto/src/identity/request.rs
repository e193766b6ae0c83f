use sealpost_spec::account::{Device, DeviceCode, DeviceRequest, Fingerprint};
use sealpost_spec::label;

use crate::Refused;
use crate::primitive::sha256;

/// The request of a machine with these keys. **[ACCT-24]**
pub fn device_request(device: &Device, fingerprint: Fingerprint) -> DeviceRequest {
    let request = DeviceRequest { key: device.key, identity: device.identity, fingerprint, check: [0; 4] };
    let [a, b, c, d, ..] = hash(&request);
    DeviceRequest { check: [a, b, c, d], ..request }
}

/// The device code of a request.
///
/// # Errors
/// It was altered on its way. **[ACCT-24]**
pub fn device_code(request: &DeviceRequest) -> Result<DeviceCode, Refused> {
    let hash = hash(request);
    let (check, rest) = hash.split_first_chunk::<4>().ok_or(Refused)?;
    let code = rest.first_chunk::<12>().ok_or(Refused)?;
    if *check == request.check { Ok(DeviceCode(*code)) } else { Err(Refused) }
}

fn hash(request: &DeviceRequest) -> [u8; 32] {
    sha256(&[label::DEVICE_REQUEST, &request.layout()])
}
