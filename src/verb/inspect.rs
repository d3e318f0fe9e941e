//! `inspect`: what a module can change, and which strategies bring it back.

use std::fmt::Write;

use anyhow::{Context, Result};
use reset_strategies::{Answer, Judgement, Strategy, Support, condition, registry};
use serde_json::{Value, json};

use super::{list, tell};
use crate::cli::InspectArgs;
use crate::prose::{distinct, grouped};
use crate::workload::host::Spoken;
use crate::workload::{module_file, user};

/// Prints the soundness table of a module.
///
/// # Errors
/// When the file cannot be read or is not a valid module. A refusal is an answer and no error.
pub fn run(args: &InspectArgs) -> Result<()> {
    let shown = module_file::shown(&args.module);
    let wasm = module_file::read(&args.module)?;
    let facts = user::valid(&wasm).with_context(|| format!("{shown} cannot be judged"))?;
    let judged: Vec<_> = registry::all()
        .iter()
        .map(|strategy| (*strategy, strategy.judge(&facts), strategy.support(&facts)))
        .collect();
    // A module that speaks no ABI can be judged all the same.
    let abi = match &args.views[..] {
        [] => Spoken::by(&wasm, None),
        views => Ok(Spoken::views(&wasm, views).with_context(|| format!("{shown} cannot answer views"))?),
    };
    let traps = user::foreign(abi.as_ref().ok(), &facts);
    tell(args.json, &as_json(&judged, abi.as_ref().ok(), &traps), || {
        let mut text = as_text(&shown, &judged);
        let _ = match &abi {
            Ok(abi) => writeln!(text, "\nIt speaks the ABI of {abi}."),
            Err(lacking) => writeln!(text, "\nIt cannot be run as an indexer: {lacking:#}."),
        };
        if !traps.is_empty() {
            let _ = write!(
                text,
                "\nFunctions that it imports and the host of an indexer does not offer: a block that calls one fails\n\n  {}\n",
                traps.join("\n  ")
            );
        }
        text
    })
}

type Judged = (&'static Strategy, Vec<Judgement>, Support);

fn as_json(judged: &[Judged], abi: Option<&Spoken>, traps: &[String]) -> Value {
    // All strategies judge the same constructs.
    let constructs = judged.first().map_or(&[][..], |(_, judgements, _)| judgements);
    let constructs: Vec<_> = constructs
        .iter()
        .map(|found| json!({"construct": found.construct, "detail": found.detail}))
        .collect();
    let strategies: Vec<_> = judged
        .iter()
        .map(|(strategy, judgements, support)| {
            let (support, reason) = match support {
                Support::Supported => ("supported", None),
                Support::Refused { reason } => ("refused", Some(reason)),
            };
            let answers: Vec<_> = judgements.iter().map(|judgement| key(&judgement.answer)).collect();
            json!({
                "name": strategy.name(),
                "control": strategy.is_control(),
                "support": support,
                "reason": reason,
                "answers": answers,
                "conditions": list::conditions(strategy),
            })
        })
        .collect();
    json!({"schema": 1, "constructs": constructs, "abi": abi.map(Spoken::name), "traps": traps, "strategies": strategies})
}

fn key(answer: &Answer) -> &'static str {
    match answer {
        Answer::Restored => "restored",
        Answer::NotNeeded => "not-needed",
        Answer::Refused { .. } => "refused",
    }
}

/// Strategies that give the same answers share a column; controls are left out, since nobody chooses them.
fn as_text(module: &str, judged: &[Judged]) -> String {
    let chosen = judged.iter().filter(|(strategy, ..)| !strategy.is_control());
    let columns = grouped(chosen.map(|(strategy, judgements, _)| (&judgements[..], strategy.name())));
    let columns: Vec<_> = columns.into_iter().map(|(answers, names)| (families(&names), answers)).collect();
    let Some((_, constructs)) = columns.first() else { return String::new() };
    if constructs.is_empty() {
        return format!("{module} has nothing that a block could change\n");
    }
    let mut rows =
        vec![("construct".to_owned(), columns.iter().map(|(name, _)| name.clone()).collect(), String::new())];
    for (at, found) in constructs.iter().enumerate() {
        let answers: Vec<_> = columns.iter().map(|(_, answers)| answers[at].answer.to_string()).collect();
        rows.push((found.construct.clone(), answers, found.detail.clone()));
    }
    let first = rows.iter().map(|(construct, ..)| construct.len()).max().unwrap_or(0);
    let width = rows.iter().flat_map(|(_, answers, _)| answers).map(String::len).max().unwrap_or(0);
    let mut text = format!("What a block could change in {module}, and what a reset makes of it\n\n");
    for (construct, answers, detail) in rows {
        let mut line = format!("  {construct:first$}");
        for answer in answers {
            let _ = write!(line, "  {answer:width$}");
        }
        let _ = writeln!(text, "{}", format!("{line}  {detail}").trim_end());
    }
    text.push('\n');
    for (name, answers) in columns {
        let refusals = answers.iter().filter_map(|judgement| match &judgement.answer {
            Answer::Refused { reason } => Some(format!("  {} {reason}\n", judgement.construct)),
            Answer::Restored | Answer::NotNeeded => None,
        });
        let refusals: String = refusals.collect();
        let _ = match refusals.is_empty() {
            true => writeln!(text, "{name}: everything is brought back"),
            false => write!(text, "{name}: refused, because\n{refusals}"),
        };
    }
    text.push_str(&conditions());
    text
}

/// What the host must not do, whatever the module is, and under which strategies.
fn conditions() -> String {
    let mut text = String::from("\nWhat the host must not do, and what comes of it otherwise\n");
    for condition in condition::ALL {
        let whose = registry::all().iter().filter(|strategy| !strategy.is_control());
        let whose = whose.filter(|strategy| strategy.conditions().any(|stated| stated == condition));
        let names: Vec<_> = whose.map(|strategy| strategy.name()).collect();
        let _ = write!(text, "\n{}: {condition}\n", families(&names));
    }
    text
}

/// Names a group of strategies by families, or by single names where it has only some of a family.
fn families(names: &[&'static str]) -> String {
    let label = |name: &&'static str| {
        let family = name.split_once('/').map_or(*name, |(family, _)| family);
        let mut kin = registry::all().iter().filter(|strategy| strategy.family() == family);
        if kin.all(|strategy| names.contains(&strategy.name())) { family } else { name }
    };
    distinct(names.iter().map(label)).join(", ")
}
