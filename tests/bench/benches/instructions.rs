//! How many instructions the relay's hot functions take, counted by valgrind: `.ci/instructions` compares them with
//! `instructions.txt`.
//!
//! Each case ends by giving back what it was made of, so that what it takes to drop a relay is not counted.
use gungraun::{library_benchmark, library_benchmark_group, main};
use sealpost_bench::hot;
use sealpost_relay::store::memory::ready;
use sealpost_relay::store::{Memory, Store, Write};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::relay::Request;
use sealpost_spec::wire::RelayFrame;

#[library_benchmark]
#[bench::of_6_kib(hot::travelling())]
fn read_a_delivery(bytes: Vec<u8>) -> (Vec<u8>, Request) {
    let request = hot::read_delivery(&bytes);
    (bytes, request)
}

#[library_benchmark]
#[bench::of_6_kib(hot::push())]
fn write_a_push(push: RelayFrame) -> (RelayFrame, Vec<u8>) {
    let bytes = hot::write_push(&push);
    (push, bytes)
}

#[library_benchmark]
#[bench::delivery(hot::delivery())]
#[bench::delivery_too_fast(hot::delivery_too_fast())]
#[bench::acknowledgement_of_40(hot::acknowledgement())]
#[bench::login(hot::login())]
#[bench::post(hot::post())]
#[bench::bundle(hot::bundle())]
fn answer(mut asked: hot::Asked) -> hot::Asked {
    asked.answer();
    asked
}

#[library_benchmark]
#[bench::one_box(hot::boxes(1))]
#[bench::boxes_40(hot::boxes(40))]
#[bench::post_to_its_first_reader(hot::first_reader())]
#[bench::post_to_the_next_reader(hot::next_reader())]
fn push(mut pushed: hot::Pushed) -> hot::Pushed {
    pushed.push();
    pushed
}

#[library_benchmark]
#[bench::links_1000(hot::tower(1_000))]
fn ring(tower: hot::Tower) -> hot::Tower {
    tower.ring();
    tower
}

#[library_benchmark]
#[bench::boxes_40((hot::stored(0), hot::appends(0, 40)))]
#[bench::trim_of_40((hot::stored(40), vec![Write::Trim { log: hot::log(), through: Seq(40) }]))]
fn write_to_memory((store, writes): (Memory, Vec<Write>)) -> Memory {
    ready(store.write(writes)).expect("nothing waits").expect("a store that works");
    store
}

#[library_benchmark]
#[bench::boxes_40(hot::stored(40))]
fn read_from_memory(store: Memory) -> Memory {
    let read = ready(store.read(&hot::log(), Seq(0), hot::READ)).expect("nothing waits").expect("a store that works");
    std::hint::black_box(read);
    store
}

library_benchmark_group!(
    name = hot_functions,
    benchmarks = [read_a_delivery, write_a_push, answer, push, ring, write_to_memory, read_from_memory]
);
main!(library_benchmark_groups = hot_functions);
