//! Keeps a relay busy with crowds, floods and readers that stop, and tells what an honest pair beside them waits for.
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use sealpost_bench::relay::clock::nanos;
use sealpost_bench::relay::codec::{Event, STAMP, Wrong};
use sealpost_bench::relay::engine::Engine;
use sealpost_bench::relay::host::Site;
use sealpost_bench::relay::neighbours::flood::{Flood, floods};
use sealpost_bench::relay::neighbours::pair::{Pair, Waited};
use sealpost_bench::relay::neighbours::{Neighbour, crowd, readers};
use sealpost_bench::relay::play::noise;
use sealpost_bench::relay::row::Latencies;
use sealpost_bench::relay::sealpost;

/// An honest pair's p99 is at most so many times its quiet one.
const MOST: f64 = 2.0;

/// Crowds, floods and readers that stop, and what an honest pair beside them waits for
#[derive(Parser)]
#[command(name = "neighbours")]
struct Cli {
    /// Scenes to play; all of them without
    #[arg(value_enum)]
    scenes: Vec<Scene>,
    /// Links that are held
    #[arg(long, default_value_t = 19_000)]
    links: u32,
    /// Links that others try to open meanwhile
    #[arg(long, default_value_t = 100_000)]
    attempts: u32,
    /// The floods to play; all of them without
    #[arg(long, value_enum, value_name = "FLOOD")]
    flood: Vec<Flood>,
    /// Seconds that each flood lasts
    #[arg(long, default_value_t = 20)]
    span: u64,
    /// The relay to bother, instead of the one of this repository
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<std::path::PathBuf>,
    /// Is a neighbour of the relay at this address
    #[arg(long, hide = true, num_args = 2.., value_names = ["ADDRESS", "WHAT"])]
    neighbour: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// As many links as there may be, and far more who try
    Links,
    /// Too much of each thing that a relay answers
    Floods,
    /// Followers of a room who stop reading
    Readers,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = if cli.neighbour.is_empty() { run(&cli) } else { neighbour(&cli.neighbour).map(|()| true) };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::from(2)
        }
    }
}

/// What a process does that is a neighbour.
fn neighbour(words: &[String]) -> Result<(), Wrong> {
    sealpost_bench::relay::host::raise_open_files();
    let wrong = || Wrong::new("a neighbour that nobody knows");
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok()).ok_or_else(wrong);
    let word = |at: usize| words.get(at).map(String::as_str).ok_or_else(wrong);
    let relay: SocketAddr = word(0)?.parse().map_err(|_| wrong())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    match word(1)? {
        "holds" => tasks.block_on(&runtime, crowd::holds(relay, number(2)?)),
        "tries" => tasks.block_on(&runtime, crowd::tries(relay, number(2)?, number(3)?)),
        "floods" => tasks.block_on(&runtime, floods(relay, Flood::from_str(word(2)?, true).map_err(|_| wrong())?)),
        "stops" => tasks.block_on(&runtime, readers::stop(relay, number(2)?..number(3)?)),
        _ => Err(wrong()),
    }
}

fn run(cli: &Cli) -> Result<bool, Wrong> {
    let relay = cli.relay.clone().map_or_else(sealpost::build, Ok)?;
    let site = Site { folder: tempfile::tempdir()?, relay, quick: false, keep: None };
    let plays = |scene| cli.scenes.is_empty() || cli.scenes.contains(&scene);
    let mut holds = true;
    if plays(Scene::Links) {
        holds &= links(&site, cli)?;
    }
    if plays(Scene::Floods) {
        let floods = if cli.flood.is_empty() { Flood::value_variants() } else { &cli.flood };
        holds &= flooded(&site, floods, Duration::from_secs(cli.span))?;
    }
    if plays(Scene::Readers) {
        holds &= stopped(&site)?;
    }
    Ok(holds)
}

fn say(what: &str, waited: &Waited) {
    let Waited { boxes, delivered: (half, most), accepted: (half_accepted, most_accepted) } = waited;
    println!(
        "{what:<28} {boxes:>5} boxes, there after {half:>7.0} us, p99 {most:>7.0}; accepted {half_accepted:>7.0}, p99 {most_accepted:>7.0}"
    );
}

/// Whether the pair's p99 is below [`MOST`] times its quiet one.
fn bearable(quiet: &Waited, busy: &Waited) -> bool {
    let (delivered, accepted) = (busy.delivered.1 / quiet.delivered.1, busy.accepted.1 / quiet.accepted.1);
    let holds = delivered < MOST && accepted < MOST;
    let word = if holds { "holds" } else { "MISSED" };
    println!("{:<28} {delivered:.2} and {accepted:.2} times the quiet p99, below {MOST}: {word}", "");
    holds
}

fn links(site: &Site, cli: &Cli) -> Result<bool, Wrong> {
    let config = format!("dumpable = true\n[links]\nlinks = {}\n", cli.links + 2);
    let host = sealpost::start_with(site, 6, &config)?;
    let mut pair = Pair::open(&host)?;
    let quiet = pair.talks(Duration::from_secs(10))?;
    say("quiet", &quiet);
    let before = host.process.memory()?;
    let cpu = host.process.cpu()?;
    let mut crowd = Neighbour::start(host.address, &["holds", &cli.links.to_string()])?;
    let held: u32 = crowd.says()?.parse().map_err(|_| Wrong::new("no number"))?;
    let each = (host.process.memory()? - before) as f64 / 1024.0 / f64::from(held.max(1));
    let opening = (host.process.cpu()? - cpu).as_micros() as f64 / f64::from(held.max(1));
    println!(
        "{:<28} {held} of {} links held, {each:.1} KiB of memory each, {opening:.0} us of CPU to open",
        "crowd", cli.links
    );
    say("beside the crowd", &pair.talks(Duration::from_secs(10))?);

    let (began, cpu) = (Instant::now(), host.process.cpu()?);
    let mut tries = Neighbour::start(host.address, &["tries", &cli.attempts.to_string(), "250"])?;
    let verdict = std::thread::spawn(move || tries.says());
    let mut worst: Option<Waited> = None;
    while !verdict.is_finished() {
        let waited = pair.talks(Duration::from_secs(5))?;
        if worst.is_none_or(|worst| waited.delivered.1 > worst.delivered.1) {
            worst = Some(waited);
        }
    }
    let spent = (host.process.cpu()? - cpu).as_micros() as f64 / f64::from(cli.attempts.max(1));
    let verdict = verdict.join().map_err(|_| Wrong::new("nobody waited"))??;
    println!(
        "{:<28} {} in {:.0} s: shed and answered {verdict}; {spent:.0} us of CPU each, the pair's boxes included",
        "attempts",
        cli.attempts,
        began.elapsed().as_secs_f64()
    );
    let mut holds = held == cli.links;
    if let Some(worst) = worst {
        say("beside the attempts", &worst);
        holds &= bearable(&quiet, &worst);
    }
    crowd.ends();
    let answered = crowd.says()?;
    println!("{:<28} {answered} of the {held} held links answer in the end", "");
    Ok(holds && answered == held.to_string())
}

fn flooded(site: &Site, floods: &[Flood], span: Duration) -> Result<bool, Wrong> {
    let mut holds = true;
    for flood in floods {
        let host = sealpost::start_with(site, 6, "dumpable = true\n")?;
        let mut pair = Pair::open(&host)?;
        let quiet = pair.talks(span)?;
        let value = flood.to_possible_value().ok_or_else(|| Wrong::new("no name"))?;
        let before = host.process.memory()?;
        let mut neighbour = Neighbour::start(host.address, &["floods", value.get_name()])?;
        neighbour.says()?;
        let busy = pair.talks(span)?;
        neighbour.ends();
        let verdict = neighbour.says()?;
        let grown = host.process.memory()?.saturating_sub(before) / 1024;
        say("quiet", &quiet);
        say(value.get_name(), &busy);
        println!("{:<28} answered and refused in {} s: {verdict}; {grown} KiB more memory", "", span.as_secs());
        holds &= bearable(&quiet, &busy);
    }
    Ok(holds)
}

/// Followers of a room: some read and some have stopped.
fn stopped(site: &Site) -> Result<bool, Wrong> {
    const READ: u32 = 20;
    const STOP: u32 = 50;
    let config = "dumpable = true\n[rates]\nregistrations = { burst = 1000, every_ms = 1 }\nposts = { burst = 100000, every_ms = 1 }\n";
    let host = sealpost::start_with(site, READ + STOP + 1, config)?;
    let mut engine = Engine::new()?;
    let publisher = host.open(&mut engine, host.clients.publisher(0)?)?;
    ready(&mut engine, 1, Event::Ready)?;
    for number in 0..READ {
        let link = host.open(&mut engine, host.clients.subscriber(number)?)?;
        ready(&mut engine, 1, Event::Ready)?;
        engine.say(link, |codec, out| codec.subscribe(0, out))?;
        ready(&mut engine, 1, Event::Subscribed)?;
    }
    let mut posts = 0;
    let mut talk = |engine: &mut Engine, span| follows(engine, publisher, span, &mut posts);
    let quiet = talk(&mut engine, Duration::from_secs(15))?;
    let before = host.process.memory()?;
    let words = ["stops", &READ.to_string(), &(READ + STOP).to_string()];
    let mut neighbour = Neighbour::start(host.address, &words)?;
    neighbour.says()?;
    let busy = talk(&mut engine, Duration::from_secs(45))?;
    let grown = host.process.memory()?.saturating_sub(before) / 1024;
    let (quiet, busy) = (quiet.at(0.99), busy.at(0.99));
    println!("{:<28} p99 {quiet:.0} us with {READ} followers", "readers");
    println!("{:<28} p99 {busy:.0} us beside {STOP} who have stopped; {grown} KiB more memory", "");
    neighbour.ends();
    let verdict = neighbour.says()?;
    let least = verdict.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    println!("{:<28} each has got at least, and closed links: {verdict}; there were {posts}", "");
    let all = least.is_some_and(|least| least >= posts);
    println!(
        "{:<28} {:.2} times the quiet p99, nothing lost: {}",
        "",
        busy / quiet,
        if all && busy < MOST * quiet { "holds" } else { "MISSED" }
    );
    Ok(all && busy < MOST * quiet)
}

fn ready(engine: &mut Engine, count: usize, what: Event) -> Result<(), Wrong> {
    let mut ready = 0;
    engine.until(Duration::from_secs(60), "links", |_, heard| {
        ready += heard.iter().filter(|heard| heard.what == what).count();
        Ok(ready >= count)
    })
}

/// Posts fifty times a second, and hears when the followers have it.
fn follows(engine: &mut Engine, publisher: usize, span: Duration, posts: &mut u64) -> Result<Latencies, Wrong> {
    let (mut latencies, mut payload, mut heard) = (Latencies::default(), noise(3 * 1024), Vec::new());
    let began = Instant::now();
    let mut next = began;
    while began.elapsed() < span {
        if Instant::now() >= next {
            next += Duration::from_millis(20);
            if let Some(stamp) = payload.first_chunk_mut::<STAMP>() {
                *stamp = nanos().to_le_bytes();
            }
            engine.say(publisher, |codec, out| codec.publish(0, &payload, out))?;
            *posts += 1;
        }
        heard.clear();
        engine.turn(next.saturating_duration_since(Instant::now()), &mut heard)?;
        for heard in &heard {
            if let Event::Delivered { stamp } = heard.what {
                latencies.add(stamp, heard.at);
            }
        }
    }
    Ok(latencies)
}
