//! `sealpost`, the client.

/// What is freed is wiped. A text, a passphrase or a key goes through buffers of libraries that know nothing of secrets; so a
/// client that was locked, or is done with something, has none of it left on its heap. [THREAT-29]
#[global_allocator]
static HEAP: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    sealpost_client::face::cli::run(std::env::args_os())
}
