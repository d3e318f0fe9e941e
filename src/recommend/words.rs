//! A recommendation for people: on a terminal and as Markdown.

use reset_strategies::{Swap, registry};

use super::{Recommendation, Recommendations, serving};
use crate::present::table::{hanging, wrap};
use crate::prose::markdown::{escape, sentence};
use crate::prose::{distinct, grouped, percent, printable};
use crate::units::ratio;

/// The heads under which a recommendation is told, and the sentences under each; empty ones are left out.
fn parts(answer: &Recommendation, level: f64) -> Vec<(&'static str, Vec<String>)> {
    let runner_up = answer.runner_up.as_ref().map(|name| match answer.runner_up_ratio {
        Some(r) => format!(
            "`{name}`, at {} times its cycle ({} to {}, {} interval)",
            ratio(r.value),
            ratio(r.low),
            ratio(r.high),
            percent(level)
        ),
        None => format!("`{name}`; how they compare was not measured"),
    });
    let changes = answer.changes.iter().map(|change| match &change.strategy {
        Some(strategy) => format!("if {}: `{strategy}`{}", change.condition, caution(strategy)),
        None => format!("if {}: nothing fits", change.condition),
    });
    // Twenty strategies that need a newer kernel are one line.
    let excluded = grouped(answer.excluded.iter().map(|out| (&out.reason, format!("`{}`", out.strategy))));
    let excluded = excluded.into_iter().map(|(reason, names)| format!("{}: {reason}", names.join(", ")));
    let tied: Vec<String> = answer.tied.iter().map(|name| format!("`{name}`")).collect();
    let all = vec![
        ("tied", if tied.is_empty() { Vec::new() } else { vec![tied.join(", ")] }),
        ("but", answer.by_mean.iter().map(|by_mean| by_mean.sentence.clone()).collect()),
        ("conditions", answer.conditions.clone()),
        ("runner-up", runner_up.into_iter().collect()),
        ("it changes", changes.collect()),
        ("does not fit", excluded.collect()),
        ("not known", answer.unknown.clone()),
    ];
    all.into_iter().filter(|(_, told)| !told.is_empty()).collect()
}

/// What has to be said wherever a strategy is named that is not safe everywhere.
fn caution(strategy: &str) -> &'static str {
    let safe = registry::find(strategy).is_none_or(|strategy| strategy.swap() == Swap::Survives);
    if safe { "" } else { ", but never where there is swap" }
}

fn title(answer: &Recommendation) -> String {
    let params: Vec<String> = answer.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    match params.is_empty() {
        true => answer.workload.clone(),
        false => format!("{} ({})", answer.workload, params.join(", ")),
    }
}

/// For a terminal of that many columns. The code to paste is not here: it has lines of its own length.
pub fn text(found: &Recommendations, level: f64, width: usize) -> String {
    // The backticks are for Markdown.
    let plain = |words: &str| printable(&words.replace('`', ""));
    let item = |name: &str, words: &str| hanging(&format!("  {name:<14}"), &plain(words), width);
    let mut out = String::new();
    for answer in &found.recommendations {
        out += &wrap(&plain(&title(answer)), width, "  ");
        out += &item("use", answer.strategy.as_deref().unwrap_or("nothing"));
        out += &item("because", &answer.because);
        for (name, told) in parts(answer, level) {
            for (i, words) in told.iter().enumerate() {
                out += &item(if i == 0 { name } else { "" }, words);
            }
        }
        out.push('\n');
    }
    if !found.recommendations.is_empty() {
        out += &wrap(
            &plain(&format!(
                "Measured {}. Asked for: {}. Not known from {}:",
                found.host, found.limits, found.run
            )),
            width,
            "",
        );
    }
    for words in &found.unknown {
        out += &wrap(&plain(&format!("- {words}")), width, "  ");
    }
    for (strategy, recipe) in recipes(found) {
        out += &format!("\nTo paste for {strategy}:\n\n{recipe}");
    }
    out
}

/// For a page.
pub fn markdown(found: &Recommendations, level: f64) -> String {
    let mut out = format!("# What to use, by `{}`\n\n", found.run);
    out += &format!(
        "Measured {}, on {}. Asked for: {}.\n",
        escape(&found.host),
        escape(&found.machine),
        sentence(&format!("`{}`", found.limits))
    );
    for answer in &found.recommendations {
        out += &format!("\n## {}\n\n", escape(&title(answer)));
        let use_ =
            answer.strategy.as_ref().map_or("Nothing fits".to_owned(), |name| format!("Use **`{name}`**"));
        out += &format!("{use_}: {}\n\n", sentence(&answer.because));
        for (name, told) in parts(answer, level) {
            let told: Vec<String> = told.iter().map(|words| sentence(words)).collect();
            out += &format!("- **{name}**: {}\n", told.join("; "));
        }
    }
    out += "\n## Not known from this run\n\n";
    for words in &found.unknown {
        out += &format!("- {}\n", sentence(words));
    }
    for (strategy, recipe) in recipes(found) {
        out += &format!("\n## To paste: `{strategy}`\n\n```rust\n{recipe}```\n");
    }
    out
}

/// What there is to paste, once for each strategy.
fn recipes<'a>(found: &'a Recommendations) -> Vec<(&'a str, &'a str)> {
    let recipe = |answer: &'a Recommendation| Some((answer.strategy.as_deref()?, answer.paste.as_deref()?));
    distinct(found.recommendations.iter().filter_map(recipe))
}

/// What to serve views with, for a terminal of that many columns.
pub fn serving_text(found: &serving::Recommendations, width: usize) -> String {
    let plain = |words: &str| printable(&words.replace('`', ""));
    let mut out = String::new();
    for (workload, told) in serving::paragraphs(found) {
        out += &wrap(&plain(&workload), width, "  ");
        for (name, words) in told {
            out += &hanging(&format!("  {name:<14}"), &plain(&words), width);
        }
        out.push('\n');
    }
    out + &wrap(&plain(&format!("Measured as on {}: {}", found.host, found.machine)), width, "  ")
}

/// The same as Markdown.
pub fn serving_markdown(found: &serving::Recommendations) -> String {
    let mut out = String::new();
    for (workload, told) in serving::paragraphs(found) {
        out += &format!("### {}\n\n", escape(&workload));
        for (name, words) in told {
            out += &format!("- **{name}**: {}\n", sentence(&words));
        }
        out.push('\n');
    }
    out + &format!("Measured as on {}: {}\n", escape(&found.host), escape(&found.machine))
}
