//! `sealpost`, the client.

fn main() -> std::process::ExitCode {
    sealpost_client::face::cli::run(std::env::args_os())
}
