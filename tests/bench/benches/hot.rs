//! How long the relay's hot functions take: `cargo bench --manifest-path tests/bench/Cargo.toml --bench hot`.
use divan::{Bencher, black_box};
use sealpost_bench::hot;
use sealpost_relay::store::{Sqlite, Store, Write};
use sealpost_spec::mailbox::Seq;

fn main() {
    divan::main();
}

#[divan::bench]
fn read_a_delivery(bencher: Bencher) {
    let bytes = hot::travelling();
    bencher.bench(|| hot::read_delivery(black_box(&bytes)));
}

#[divan::bench]
fn write_a_push(bencher: Bencher) {
    let push = hot::push();
    bencher.bench(|| hot::write_push(black_box(&push)));
}

fn answers(bencher: Bencher, case: fn() -> hot::Asked) {
    bencher.with_inputs(case).bench_refs(hot::Asked::answer);
}

#[divan::bench]
fn deliver(bencher: Bencher) {
    answers(bencher, hot::delivery);
}

#[divan::bench]
fn refuse_a_delivery_that_comes_too_fast(bencher: Bencher) {
    answers(bencher, hot::delivery_too_fast);
}

#[divan::bench]
fn acknowledge_40_boxes(bencher: Bencher) {
    answers(bencher, hot::acknowledgement);
}

#[divan::bench]
fn log_in(bencher: Bencher) {
    answers(bencher, hot::login);
}

#[divan::bench]
fn post(bencher: Bencher) {
    answers(bencher, hot::post);
}

#[divan::bench]
fn give_a_bundle(bencher: Bencher) {
    answers(bencher, hot::bundle);
}

#[divan::bench(args = [1, 40])]
fn push_boxes(bencher: Bencher, count: u64) {
    bencher.with_inputs(|| hot::boxes(count)).bench_refs(hot::Pushed::push);
}

#[divan::bench]
fn push_a_post_to_its_first_reader(bencher: Bencher) {
    bencher.with_inputs(hot::first_reader).bench_refs(hot::Pushed::push);
}

#[divan::bench]
fn push_a_post_to_the_next_reader(bencher: Bencher) {
    bencher.with_inputs(hot::next_reader).bench_refs(hot::Pushed::push);
}

#[divan::bench(args = [1, 1_000])]
fn ring(bencher: Bencher, links: u32) {
    bencher.with_inputs(|| hot::tower(links)).bench_refs(|tower| tower.ring());
}

/// A store, and what drives its futures.
struct Driven<S> {
    store: S,
    runtime: tokio::runtime::Runtime,
    next: u64,
    _folder: Option<tempfile::TempDir>,
}

impl<S: Store> Driven<S> {
    fn new(open: impl FnOnce() -> (S, Option<tempfile::TempDir>)) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (store, folder) = runtime.block_on(async { open() });
        Self { store, runtime, next: 0, _folder: folder }
    }

    /// So many boxes that are to be appended.
    fn boxes(&mut self, count: u64) -> Vec<Write> {
        self.next += count;
        hot::appends(self.next - count, count)
    }

    fn write(&self, writes: Vec<Write>) {
        self.runtime.block_on(self.store.write(writes)).expect("a store that works");
    }

    fn last(&self) -> Seq {
        let all = self.runtime.block_on(self.store.read(&hot::log(), Seq(0), hot::READ)).expect("a store that works");
        all.last().expect("boxes").seq
    }
}

fn sqlite() -> (Sqlite, Option<tempfile::TempDir>) {
    let folder = tempfile::tempdir().expect("a folder");
    (Sqlite::open(&folder.path().join("store")).expect("a store"), Some(folder))
}

fn memory() -> (sealpost_relay::store::Memory, Option<tempfile::TempDir>) {
    (hot::stored(0), None)
}

/// SQLite's writes end with a sync of the disk, which is most of their time.
mod store {
    use super::*;

    fn append<S: Store>(bencher: Bencher, driven: Driven<S>, count: u64) {
        let driven = std::cell::RefCell::new(driven);
        let input = || driven.borrow_mut().boxes(count);
        bencher.with_inputs(input).bench_local_values(|writes| driven.borrow().write(writes));
    }

    fn read<S: Store>(bencher: Bencher, mut driven: Driven<S>) {
        let boxes = driven.boxes(40);
        driven.write(boxes);
        bencher.bench_local(|| driven.last());
    }

    /// What a page of boxes costs from its arrival to its end.
    fn append_and_trim<S: Store>(bencher: Bencher, driven: Driven<S>) {
        let driven = std::cell::RefCell::new(driven);
        let input = || {
            let boxes = driven.borrow_mut().boxes(40);
            driven.borrow().write(boxes);
            vec![Write::Trim { log: hot::log(), through: driven.borrow().last() }]
        };
        bencher.with_inputs(input).bench_local_values(|trim| driven.borrow().write(trim));
    }

    #[divan::bench(args = [1, 64])]
    fn memory_appends(bencher: Bencher, count: u64) {
        append(bencher, Driven::new(memory), count);
    }

    #[divan::bench(args = [1, 64], sample_count = 20)]
    fn sqlite_appends(bencher: Bencher, count: u64) {
        append(bencher, Driven::new(sqlite), count);
    }

    #[divan::bench]
    fn memory_reads_40(bencher: Bencher) {
        read(bencher, Driven::new(memory));
    }

    #[divan::bench]
    fn sqlite_reads_40(bencher: Bencher) {
        read(bencher, Driven::new(sqlite));
    }

    #[divan::bench]
    fn memory_trims_40(bencher: Bencher) {
        append_and_trim(bencher, Driven::new(memory));
    }

    #[divan::bench(sample_count = 20)]
    fn sqlite_trims_40(bencher: Bencher) {
        append_and_trim(bencher, Driven::new(sqlite));
    }
}
