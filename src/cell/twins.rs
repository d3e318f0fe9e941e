//! Two sessions in one process: what one of them does to the process must not lose what the other has to find.

use anyhow::Result;
use reset_strategies::Error;

use super::compare::{differs, late, run};
use super::session::Cell;
use crate::protocol::schedule::{Schedule, Script};
use crate::protocol::{Reference, Verified};

/// Whether the script asks for two sessions, and there is room for the second.
pub fn are_for(cell: &Cell, script: &Script) -> bool {
    script.schedule == Schedule::TwoSessions && cell.is_alone()
}

/// Runs the steps in two sessions, both of which execute before either is reset, and compares both.
///
/// # Errors
/// When the second cannot start, although nobody refuses it.
pub fn verify(cell: &mut Cell, script: &Script, expected: &Reference) -> Result<Verified> {
    let fresh = cell.fresh()?;
    let steps = script.steps(cell.trace());
    let mut other = match cell.another() {
        Ok(other) => other,
        // Right, or refused.
        Err(error) => match error.downcast_ref() {
            Some(Error::Refused { .. } | Error::Unavailable { .. }) => {
                return Ok(Verified::not_run(format!("a second session is refused: {error:#}")));
            }
            _ => return Err(error),
        },
    };
    let mut verified = Verified::default();
    for always in [false, true] {
        cell.rewind();
        other.rewind();
        for (at, (step, expected)) in steps.iter().zip(&expected.blocks).enumerate() {
            let mut both = [("the first session", &mut *cell), ("the second session", &mut other)];
            let mut observed = Vec::new();
            for (_, cell) in &mut both {
                observed.push(run(cell, script.id(at), step)?.0);
            }
            // Now the one is reset first and now the other.
            let order = if at % 2 == 0 { [0, 1] } else { [1, 0] };
            for index in order {
                if let Err(error) = both[index].1.reset() {
                    let error = anyhow::Error::from(error);
                    verified.difference = Some(format!("{}: the reset failed: {error:#}", both[index].0));
                    return Ok(verified);
                }
            }
            for ((name, cell), observed) in both.iter_mut().zip(&observed) {
                let input = step.input;
                let late = late(cell, script, step, &input.to_string(), expected, observed);
                verified.blocks += u64::from(late.is_none());
                let differs = || differs(&input.to_string(), expected, observed);
                let found = late.is_none().then(differs).flatten().or_else(|| {
                    let look = always || late.is_some() || at + 1 == steps.len();
                    let left = look.then(|| fresh.difference(&mut cell.session)).flatten()?;
                    Some(format!("after the resets that follow {input}, {left}"))
                });
                if let Some(found) = found {
                    verified.difference = Some(format!("{name} of two: {found}"));
                    return Ok(verified);
                }
                verified.unjudged = verified.unjudged.or(late);
            }
            if verified.unjudged.is_some() {
                return Ok(verified);
            }
        }
        if [&*cell, &other].iter().any(|cell| cell.store_digest() != expected.store) {
            verified.difference = Some("the host's store differs after the last block".into());
            return Ok(verified);
        }
    }
    Ok(verified)
}
