//! `address`, and how an address is printed.

use std::net::Ipv4Addr;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sealpost_crypto::identity::{RelaySecret, relay_pin};
use sealpost_relay::config::Config;
use sealpost_relay::folder;
use sealpost_spec::relay::{Address, Host};

use super::arguments::Options;
use super::failure::{CONFIGURATION, Failure, RUNTIME};
use super::say;

/// Prints the relay's address and its QR code.
pub(crate) fn address(options: &Options) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    let Some(secret) = folder::read_key(&config.data)? else {
        let cause = format!("there is no relay in {}", config.data.display());
        return Err(Failure::new(RUNTIME, "no address yet", cause, "sealpost-relay serve --data DIR"));
    };
    let port = match config.listen.port() {
        0 => folder::noted_port(&config.data).unwrap_or_default(),
        port => port,
    };
    let address = printed(&config, port, &secret)?.to_string();
    let code = QrCode::new(&address).map_err(|error| {
        Failure::new(RUNTIME, "the QR code could not be drawn", error, "give fewer or shorter names with --host")
    })?;
    let code = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    say(&format!("{address}\n\n{code}\n"));
    Ok(())
}

/// The address under which clients find a relay that listens on this port.
pub(super) fn printed(config: &Config, port: u16, secret: &RelaySecret) -> Result<Address, Failure> {
    let hosts = if config.host.is_empty() {
        let address = config.listen.ip();
        let address = if address.is_unspecified() {
            tracing::warn!("the printed address names this machine only: give its name with --host");
            Ipv4Addr::LOCALHOST.into()
        } else {
            address
        };
        vec![if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }]
    } else {
        config.host.clone()
    };
    let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<Vec<Host>, _>>();
    let hosts = hosts.map_err(|error| Failure::new(CONFIGURATION, "no address", error, "give a name with --host"))?;
    Ok(Address { hosts, port, pin: relay_pin(&secret.public()) })
}
