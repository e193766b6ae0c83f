//! Drives relay, bare server and peers with the same work, and prints what each costs.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use sealpost_bench::relay::codec::Wrong;
use sealpost_bench::relay::host::{Site, raise_open_files};
use sealpost_bench::relay::rows::{self, Scale};
use sealpost_bench::relay::{bare, picture, row, sealpost, table};

/// What the relay costs, beside a bare server and beside what people would take instead
#[derive(Parser)]
#[command(name = "relay")]
struct Cli {
    /// Rows to run; all of them without
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Names the rows
    #[arg(long)]
    list: bool,
    /// Little of everything, to see whether it works: its figures say nothing
    #[arg(long)]
    quick: bool,
    /// How often each server has its turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Also runs the rows that take long to prepare
    #[arg(long)]
    long: bool,
    /// Keeps what takes long to prepare, some 9 GB, for the next run
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Writes everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes what is held against what as a table for a page
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Only servers whose names begin so take part; all of them without
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// The relay to measure, instead of the one of this repository
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
    /// Is the bare server
    #[arg(long, value_name = "WORKERS", hide = true)]
    bare: Option<usize>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(workers) = cli.bare {
        return match bare::serve(workers, |address| println!("{address}")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => failed(&wrong),
        };
    }
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(wrong) => failed(&wrong),
    }
}

fn failed(wrong: &Wrong) -> ExitCode {
    eprintln!("error: {wrong}");
    ExitCode::from(2)
}

/// Whether all is reached that was measured.
fn run(cli: &Cli) -> Result<bool, Wrong> {
    let mut rows = rows::all(Scale::new(cli.quick));
    if cli.list {
        rows.iter().for_each(|row| println!("{:<20} {}", row.name, row.what));
        return Ok(true);
    }
    if let Some(unknown) = cli.rows.iter().find(|name| rows.iter().all(|row| row.name != name.as_str())) {
        return Err(Wrong(format!("there is no row {unknown}; --list names them")));
    }
    let wanted = |row: &row::Row| match cli.rows.is_empty() {
        true => cli.long || !rows::long(row),
        false => cli.rows.iter().any(|name| name == row.name),
    };
    rows.retain(wanted);
    let takes_part = |name: &str| cli.server.is_empty() || cli.server.iter().any(|begins| name.starts_with(begins));
    rows.iter_mut().for_each(|row| row.contenders.retain(|contender| takes_part(&contender.name)));
    raise_open_files();
    let relay = cli.relay.clone().map_or_else(sealpost::build, Ok)?;
    let site = Site { folder: tempfile::tempdir()?, relay, keep: cli.keep.clone(), quick: cli.quick };
    let began = Instant::now();
    let mut tell = |what: &str| eprintln!("{:>5} s  {what}", began.elapsed().as_secs());
    let mut outcomes: Vec<row::Outcome> = Vec::new();
    for row in rows {
        let outcome = row.run(&site, usize::from(cli.rounds), &mut tell);
        table::print(&outcome);
        outcomes.push(outcome);
    }
    table::summary(&outcomes);
    report(cli, &outcomes)?;
    Ok(outcomes.iter().flat_map(|outcome| &outcome.judged).all(|judged| judged.reached() != Some(false)))
}

fn report(cli: &Cli, outcomes: &[row::Outcome]) -> Result<(), Wrong> {
    let (machine, date) = (machine(), said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    println!("\n{date}, {machine}, {} rounds", cli.rounds);
    if let Some(file) = &cli.json {
        let command: Vec<String> = std::env::args().skip(1).collect();
        std::fs::write(file, format!("{:#}\n", table::json(outcomes, &machine, &date, &command.join(" "))))?;
    }
    if let Some(file) = &cli.markdown {
        std::fs::write(file, table::markdown(outcomes))?;
    }
    if let Some(file) = &cli.svg {
        let note = format!(
            "{date}, {machine}, medians of {} rounds; shorter is better where nothing else is said",
            cli.rounds
        );
        std::fs::write(file, picture::svg(outcomes, &note))?;
    }
    Ok(())
}

/// Processor, cores and kernel.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores, {}, Linux {}", model.trim_start_matches([' ', '\t', ':']), said_by("uname", &["-r"]))
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
