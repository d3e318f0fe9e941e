//! What stands behind the figures: the machine and its settings, the words, the method, and what it cannot see.

use maud::{Markup, html};

use super::text;
use crate::analyse::summary::Summary;
use crate::present::book::Facts;
use crate::prose::percent;

/// The machine, the command and the strategies' configurations.
pub fn environment(facts: &Facts) -> Markup {
    html! {
        section #environment {
            h2 { "Environment" }
            p { "The command of this run:" }
            pre tabindex="0" { code { (text(&facts.command)) } }
            dl { @for (name, value) in &facts.machine { dt { (text(name)) } dd { (text(value)) } } }
            @if !facts.strategies.is_empty() {
                h3 { "Effective engine configuration of each strategy" }
                dl.wide { @for (name, value) in &facts.strategies { dt { code { (text(name)) } } dd { (text(value)) } } }
            }
        }
    }
}

/// The words, the statistics and their limits in short.
pub fn method(summary: &Summary) -> Markup {
    html! {
        section #method {
            h2 { "Method and bias" }
            h3 { "Words" }
            dl {
                dt { "execute" } dd { "one call of the guest's _start on a block" }
                dt { "reset" } dd { "bringing the instance back to what it was right after instantiation" }
                dt { "cycle" } dd { "execute and reset together: what a block costs" }
                dt { "floor" } dd { "control/oracle, which knows each block's dirty pages beforehand" }
                dt { "overhead" } dd { "cycle minus the floor's execute" }
                dt { "vs baseline" } dd { "cycle over the baseline's cycle in the same round" }
                dt { "vs best" } dd { "cycle over that of the best sound strategy (regret)" }
                dt { "control" } dd { "a strategy that calibrates or is there to be caught" }
            }
            h3 { "Method" }
            p {
                "One child process per strategy; all of them are driven in lock-step rounds, in an order drawn anew for each \
                 round, and compared by the ratio within a round, so that noise that lasts longer than a turn hits all alike. \
                 Children are launched several times, because a process's layout is decided once; intervals are computed over \
                 launches, the wider of Student's t and a bootstrap, with a confidence of " (percent(summary.method.level))
                ". The best has the shortest median, which does not see rare slow blocks: whoever takes measurably less over \
                 whole traces, by Student's t over the sums of launches, is named beside it. A \
                 strategy whose interval is still wide gets further launches while there is time; they serve its ratios, \
                 and all times are from the launches that all strategies had. Differences up to " (percent(summary.method.margin)) " either way are called the same. What cannot be \
                 computed is unsure. Timing, counters and memory are separate passes: no figure was taken while another \
                 instrument ran."
            }
            h3 { "Bias" }
            ul {
                li { "We wrote the in-place strategies, and know them better than wasmtime's allocators, which are run with the settings above." }
                li { "Soundness is what was observed on these blocks. A page that is swapped out is seen by no check here." }
                li { "One machine and one kernel: ratios carry over to similar ones, times do not." }
                li { "Blocks, keys and values are kept in memory: what a node or a database takes is in no cycle." }
                li { "The bundled guests are small indexers. A guest that works longer per block makes every reset weigh less." }
            }
        }
    }
}
