//! Findings as annotations of GitHub Actions, which a change shows at its top.
//!
//! Source: GitHub's documentation of workflow commands, `::error title={title}::{message}`.

use super::Report;
use crate::prose::printable;

/// Most that are said: GitHub shows ten of a step.
const MOST: usize = 10;

impl Report {
    /// A line for each finding that nobody has acknowledged, the worst first.
    pub fn annotations(&self) -> String {
        let line = |finding: &super::Finding| {
            let title = property(&format!("{} on {}", finding.strategy, finding.workload));
            format!("::error title={title}::{}\n", data(&finding.sentence))
        };
        self.open().take(MOST).map(line).collect()
    }
}

/// A message on one line, in which `%` has to be escaped.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25")
}

/// A property, in which what separates properties has to be, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_the_service_is_escaped() {
        assert_eq!(data("takes 5 % more: `a`, b"), "takes 5 %25 more: `a`, b");
        assert_eq!(property("a/b on c[x=1,y:2]"), "a/b on c[x=1%2Cy%3A2]");
        assert!(!data("two\nlines\r").contains(['\n', '\r']));
    }
}
