use sealpost_spec::wire::encode;

use super::*;

/// A refusal counts under its own number, which is also the one that travels. [RELAY-12]
#[test]
fn each_refusal_has_its_word() {
    let reason = String::new;
    let named = [
        (Refusal::Malformed, "malformed"),
        (Refusal::WorkNeeded { bits: 1 }, "work_needed"),
        (Refusal::TooFast { retry_after_ms: 1 }, "too_fast"),
        (Refusal::Kicked { reason: reason() }, "kicked"),
        (Refusal::Stopping, "stopping"),
        (Refusal::Internal { id: 1 }, "internal"),
        (Refusal::NoSuchBlob, "no_such_blob"),
        (Refusal::NotCreator, "not_creator"),
        (Refusal::BannedFromRoom { reason: reason() }, "banned_from_room"),
    ];
    for (refusal, word) in named {
        let travels = encode(&refusal).unwrap();
        assert_eq!(u32::from_le_bytes(*travels.first_chunk().unwrap()) as usize, refusal.number());
        assert_eq!(REFUSALS.get(refusal.number()), Some(&word));
    }
}

/// Each value counts under the first bound that is not below it, and what exceeds all bounds counts too.
#[test]
fn a_histogram_counts_each_value_once() {
    let histogram = Histogram::new(&WRITES);
    [0, 1, 2, 3, 2_048, 2_049, 1_000_000].iter().for_each(|value| histogram.observe(*value));
    let (sum, counts) = histogram.read();
    let counted: Vec<(Option<u64>, u64)> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(Some(1), 2), (Some(2), 1), (Some(4), 1), (Some(2_048), 1), (None, 2)]);
    assert_eq!(sum, 1_004_103);
}

/// A link counts as open until it is dropped, and as opened ever after.
#[test]
fn a_link_counts_while_it_is_open() {
    let metrics = Metrics::new();
    let open = |metrics: &Metrics| metrics.links.each_ref().map(Gauge::value);
    let link = metrics.link(LinkKind::Anonymous);
    assert_eq!(open(&metrics), [0, 1]);
    drop(link);
    assert_eq!(open(&metrics), [0, 0]);
    assert_eq!(metrics.links_opened.values().collect::<Vec<_>>(), [0, 1]);
}

/// Every figure is on the page with a help and a type; a label is one of this module's words, and names nobody.
#[test]
fn no_label_names_anybody() {
    let page = exposition().unwrap();
    let words: Vec<&str> = [&KINDS[..], &HANDSHAKES, &REQUESTS, &REFUSALS].concat();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        let (label, value) = labels.split_once('}').unwrap().0.split_once('=').unwrap();
        let value = value.trim_matches('"');
        let known = match label {
            "kind" | "how" | "why" => words.contains(&value),
            "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
            "version" => value == env!("CARGO_PKG_VERSION"),
            _ => false,
        };
        assert!(known, "{line}");
    }
    for name in ["sealpost_links", "sealpost_commit_seconds", "process_open_fds", "process_start_time_seconds"] {
        assert!(page.contains(&format!("# HELP {name} ")) && page.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(page.contains("sealpost_refusals_total{why=\"stopping\"}") && page.ends_with("# EOF\n"), "{page}");
}
