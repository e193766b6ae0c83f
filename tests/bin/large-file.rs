//! A large file between two real clients, with kills: `--mib 1024` by default.

use clap::Parser;
use sealpost_tests::large::move_file;

#[derive(Parser)]
struct Arguments {
    /// How large it is
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
}

fn main() {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().expect("a folder");
    print!("{}", move_file(folder.path(), arguments.mib << 20));
}
