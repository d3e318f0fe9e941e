//! The strategies that tests hold to the contract.

use reset_strategies::{Availability, Lifecycle, Strategy, registry};

/// In-place strategies that claim to be sound and whose mechanisms are here, with the control that knows no more than they
/// do; says which are not.
pub fn sound_in_place() -> Vec<&'static Strategy> {
    let all = registry::all().iter().copied();
    let sound = all
        .filter(|s| matches!(s.lifecycle(), Lifecycle::InPlace(_)) && !s.is_control())
        .chain(registry::find("control/second-core"));
    let available = sound.filter(|strategy| match strategy.availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            println!("not tested here: {strategy}: {reason}");
            false
        }
    });
    available.collect()
}
