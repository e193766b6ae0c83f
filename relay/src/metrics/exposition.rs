//! All figures as OpenMetrics text.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::figure::{Each, Histogram};
use super::process::{self, Process};
use super::{HANDSHAKES, KINDS, METRICS, Metrics, REFUSALS, REQUESTS};

/// What a scraper is told that it gets.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures as OpenMetrics text.
///
/// # Errors
/// None: it writes to memory.
pub fn exposition() -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures));
    let mut text = String::with_capacity(16 * 1024);
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Notes when the relay was started.
pub(super) fn begin() {
    process::started();
}

#[derive(Debug)]
struct Figures;

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        page.relay(&METRICS)?;
        page.process(&Process::now())
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn relay(&mut self, metrics: &Metrics) -> Result<(), Error> {
        let Metrics { links, links_opened, handshakes, handshakes_ended, shed, requests, refusals, .. } = metrics;
        self.info("sealpost_build", "The program", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let open = links.each_ref().map(super::Gauge::value);
        self.gauges("sealpost_links", "Links that are open", "kind", &KINDS, &open)?;
        self.each("sealpost_links_opened", "Links that were opened", "kind", &KINDS, links_opened)?;
        self.gauge("sealpost_handshakes", "TLS handshakes under way", handshakes.value())?;
        self.each("sealpost_handshakes_ended", "TLS handshakes that ended", "how", &HANDSHAKES, handshakes_ended)?;
        self.counter("sealpost_connections_shed", "Connections closed before a handshake", shed.value())?;
        self.each("sealpost_requests", "Requests that came", "kind", &REQUESTS, requests)?;
        self.each("sealpost_refusals", "Refusals that were answered or ended a link", "why", &REFUSALS, refusals)?;
        let Metrics { faults, deliveries, acknowledged, posts, blobs, pushes, bytes_in, bytes_out, accepted, .. } =
            metrics;
        for (name, help, counter) in [
            ("sealpost_faults", "Faults of the relay's own; the log has each", faults),
            ("sealpost_deliveries", "Envelopes that were accepted", deliveries),
            ("sealpost_acknowledged", "Envelopes that their recipients acknowledged", acknowledged),
            ("sealpost_posts", "Posts that were taken", posts),
            ("sealpost_pushes", "Envelopes and posts that were pushed", pushes),
            ("sealpost_received_bytes", "Bytes of frames that came", bytes_in),
            ("sealpost_sent_bytes", "Bytes of frames that were written", bytes_out),
            ("sealpost_blobs", "Sealed files of which the last part came", blobs),
            (
                "sealpost_blobs_expired",
                "Sealed files that nobody fetched, or finished, in time",
                &metrics.store.blobs_expired,
            ),
            ("sealpost_mailbox_expired", "Envelopes that nobody fetched in time", &metrics.store.expired),
        ] {
            self.counter(name, help, counter.value())?;
        }
        self.histogram("sealpost_accepted_seconds", "From a delivery to its accepted", accepted, MICROS)?;
        let super::Store { commit, writes, held, held_bytes, mailbox_bytes, blob_bytes, refusing, .. } = &metrics.store;
        self.histogram("sealpost_commit_seconds", "A commit of the store, synced", commit, MICROS)?;
        self.histogram("sealpost_commit_writes", "Writes of one commit", writes, 1.0)?;
        for (name, help, gauge) in [
            ("sealpost_held_entries", "Envelopes in memory that are not written yet", held),
            ("sealpost_held_bytes", "Bytes of them", held_bytes),
            ("sealpost_mailbox_bytes", "Bytes of envelopes that wait for their recipients", mailbox_bytes),
            ("sealpost_blob_bytes", "Room that sealed files take, whole or not yet", blob_bytes),
            ("sealpost_store_refusing", "1 while nothing can be written", refusing),
            ("sealpost_draining", "1 while no new links are taken", &metrics.draining),
        ] {
            self.gauge(name, help, gauge.value())?;
        }
        if metrics.cluster.joined.value() != 0 { self.cluster(&metrics.cluster) } else { Ok(()) }
    }

    /// Of a relay that shares a store.
    fn cluster(&mut self, cluster: &super::Cluster) -> Result<(), Error> {
        let super::Cluster { retries, refusing, refusing_ms, lag, missing, unsynced, .. } = cluster;
        self.counter("sealpost_cluster_retries", "Requests to the cluster that were made again", retries.value())?;
        let help = "Time for which the cluster could not be written";
        let mut encoder = self.of("sealpost_cluster_refusing_seconds", help, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(&(refusing_ms.value() as f64 / 1000.0), None)?;
        for (name, help, gauge) in [
            ("sealpost_cluster_refusing", "1 while the cluster can't be written", refusing),
            ("sealpost_cluster_lag", "Messages by which the slowest replica is behind", lag),
            ("sealpost_cluster_missing", "Replicas of a stream that are missing or behind, at most", missing),
            ("sealpost_cluster_unsynced", "1 while a server may answer before it syncs", unsynced),
        ] {
            self.gauge(name, help, gauge.value())?;
        }
        Ok(())
    }

    fn process(&mut self, process: &Process) -> Result<(), Error> {
        let Process { resident, open_files, most_files, cpu_seconds, started } = *process;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory in use", resident),
            ("process_open_fds", "Files that are open", open_files),
            ("process_max_fds", "Files that may be open", most_files),
        ] {
            if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
                self.gauge(name, help, value)?;
            }
        }
        if let Some(seconds) = cpu_seconds {
            let mut encoder = self.of("process_cpu_seconds", "Processor time that was used", MetricType::Counter)?;
            encoder.encode_counter::<NoLabelSet, _, f64>(&seconds, None)?;
        }
        let help = "Start of the process, Unix time";
        self.of("process_start_time_seconds", help, MetricType::Gauge)?.encode_gauge(&started)
    }

    fn of<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> Result<(), Error> {
        self.of(name, help, MetricType::Info)?.encode_info(&labels)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.of(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> Result<(), Error> {
        self.of(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        words: &[&str; N],
        values: &[i64; N],
    ) -> Result<(), Error> {
        let mut encoder = self.of(name, help, MetricType::Gauge)?;
        words
            .iter()
            .zip(values)
            .try_for_each(|(word, value)| encoder.encode_family(&[(label, *word)])?.encode_gauge(value))
    }

    fn each<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        words: &[&str; N],
        counters: &Each<N>,
    ) -> Result<(), Error> {
        let mut encoder = self.of(name, help, MetricType::Counter)?;
        words.iter().zip(counters.values()).try_for_each(|(word, value)| {
            encoder.encode_family(&[(label, *word)])?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// `unit`: what a value of one stands for.
    fn histogram<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
        unit: f64,
    ) -> Result<(), Error> {
        let (sum, counts) = histogram.read();
        let bucket =
            |(bound, count): &(Option<u64>, u64)| (bound.map_or(f64::INFINITY, |bound| bound as f64 * unit), *count);
        let buckets: Vec<(f64, u64)> = counts.iter().map(bucket).collect();
        let count = counts.iter().map(|(_, count)| count).sum();
        let mut encoder = self.of(name, help, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(sum as f64 * unit, count, &buckets, None)
    }
}

/// Latencies are counted in microseconds and shown in seconds.
const MICROS: f64 = 1e-6;
