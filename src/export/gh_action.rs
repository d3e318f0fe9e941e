//! github-action-benchmark's `customSmallerIsBetter`: `[{"name", "unit", "value", "range"?, "extra"?}]`.
//!
//! It compares a value with the one before, so it is given ratios: absolute times of hosted runners are not comparable.

use serde_json::{Value, json};

use crate::analyse::summary::Verdict;
use crate::launch::saved::Saved;

pub fn export(saved: &Saved) -> Value {
    let cells = super::shown(saved).filter(|cell| cell.verdict != Verdict::Baseline);
    let entry = |cell| {
        let cell: &crate::analyse::summary::Cell = cell;
        let ratio = cell.ratio_to_baseline?;
        Some(json!({
            "name": super::name(saved, cell),
            "unit": format!("x {}", saved.summary.baseline),
            "value": ratio.value,
            "range": format!("{:.4} to {:.4}", ratio.low, ratio.high),
            "extra": cell.sentence,
        }))
    };
    cells.filter_map(entry).collect()
}
