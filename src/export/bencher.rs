//! Bencher Metric Format: `{"<benchmark>": {"<measure>": {"value", "lower_value"?, "upper_value"?}}}`
//! (bencher.dev/docs/reference/bencher-metric-format). `latency` is Bencher's own measure, in nanoseconds.

use serde_json::{Map, Value, json};

use crate::launch::saved::Saved;

pub fn export(saved: &Saved) -> Value {
    let mut benchmarks = Map::new();
    for cell in super::shown(saved) {
        let mut measures = Map::new();
        if let Some(cycle) = cell.cycle_ns {
            measures.insert("latency".into(), json!({"value": cycle.p50, "upper_value": cycle.p99}));
        }
        if let Some(ratio) = cell.ratio_to_baseline {
            let value = json!({"value": ratio.value, "lower_value": ratio.low, "upper_value": ratio.high});
            measures.insert("cycle-ratio".into(), value);
        }
        if let Some(faults) = cell.minor_faults {
            measures.insert("minor-faults".into(), json!({"value": faults}));
        }
        if let Some(rss) = cell.rss_bytes {
            measures.insert("resident-bytes".into(), json!({"value": rss.steady, "upper_value": rss.peak}));
        }
        benchmarks.insert(super::name(saved, cell), measures.into());
    }
    benchmarks.into()
}
