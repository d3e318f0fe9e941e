//! The time that a verification takes: how much of it is over, and how much is left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::Progress;

/// Watches the time while workers go through cells.
#[derive(Debug)]
pub struct Watch<'a> {
    progress: &'a Progress,
    began: Instant,
    /// When the budget is used up.
    end: Option<Instant>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Seconds of one worker that all of it was thought to take.
    total: f64,
    /// Those of what is done.
    done: f64,
    /// Cells that are done, of so many.
    cells: (usize, usize),
    has_compared: bool,
    noted: Instant,
}

impl<'a> Watch<'a> {
    /// Begins now.
    pub fn new(progress: &'a Progress, end: Option<Instant>, total: f64, cells: usize) -> Self {
        let began = Instant::now();
        let state = State { total, done: 0.0, cells: (0, cells), has_compared: false, noted: began };
        Self { progress, began, end, state: Mutex::new(state) }
    }

    /// There turns out to be more to do: so many seconds, and cells to go through once more.
    pub fn goes_on(&self, seconds: f64, cells: usize) {
        let mut state = self.state();
        state.total += seconds;
        state.cells = (0, cells);
    }

    /// Something is done that was thought to take so many seconds of one worker.
    pub fn did(&self, seconds: f64) {
        self.state().done += seconds;
    }

    /// A script was compared.
    pub fn did_compare(&self) {
        self.state().has_compared = true;
    }

    /// A cell is done, and so is what it was thought to take and has not: an early end leaves time for others.
    pub fn did_cell(&self, rest: f64) {
        let mut state = self.state();
        state.done += rest;
        state.cells.0 += 1;
        if state.noted.elapsed() >= PAUSE && state.cells.0 < state.cells.1 {
            state.noted = Instant::now();
            self.progress.note(&self.place(&state));
        }
    }

    /// Says on a terminal what is done next, and how far all of it is.
    pub fn say(&self, step: &str) {
        let place = self.place(&self.state());
        self.progress.say(&format!("{place}; {step}"));
    }

    /// Whether the budget is used up.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Whether it is used up for comparing, which is done once in any case.
    pub fn is_over_for_scripts(&self) -> bool {
        self.is_over() && self.state().has_compared
    }

    /// Whether more time is needed, as it goes, than the budget leaves.
    pub fn is_behind(&self) -> bool {
        let left = left(self.began.elapsed(), &self.state());
        let most = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        matches!((left, most), (Some(left), Some(most)) if left > most)
    }

    /// How many times as long it takes as it was thought to, by one worker; `None` while there is no telling.
    pub fn slowness(&self) -> Option<f64> {
        let done = self.state().done;
        (done > 0.0).then(|| self.began.elapsed().as_secs_f64() / done)
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn place(&self, state: &State) -> String {
        let left = left(self.began.elapsed(), state);
        let left = left.map_or_else(String::new, |left| format!(", {} left", about(left)));
        format!("{} of {} cells{left}", state.cells.0, state.cells.1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters: any of them is as good as none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rest takes as long as what is done has, in proportion.
fn left(elapsed: Duration, state: &State) -> Option<Duration> {
    let enough = state.done > state.total / 100.0;
    let share = ((state.total - state.done) / state.done).max(0.0);
    enough.then(|| Duration::try_from_secs_f64(elapsed.as_secs_f64() * share).ok()).flatten()
}

/// Between two lines of a log.
const PAUSE: Duration = Duration::from_secs(20);

/// A time as an estimate has it: `about 40 s`, `about 3 min`.
pub fn about(time: Duration) -> String {
    format!("about {}", rounded(time))
}

/// A time that is rounded up, in the form that `--budget` takes: `40s`, `3min`.
pub fn option(time: Duration) -> String {
    rounded(time).replace(' ', "")
}

/// A time that is rounded up: `40 s`, `3 min`.
pub fn rounded(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        seconds @ 0..10 => format!("{} s", seconds.max(1)),
        seconds @ 10..100 => format!("{} s", seconds.next_multiple_of(5)),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let (total, noted) = (100.0, Instant::now());
        let state = |done| State { total, done, cells: (0, 0), has_compared: false, noted };
        let left = |done| left(Duration::from_secs(30), &state(done));
        assert_eq!(left(0.0), None, "nothing is known yet");
        assert_eq!(left(25.0), Some(Duration::from_secs(90)));
        assert_eq!(left(100.0), Some(Duration::ZERO));
        assert_eq!(left(120.0), Some(Duration::ZERO));
    }

    #[test]
    fn the_end_comes_after_something_was_compared() {
        let progress = Progress::Quiet;
        let watch = Watch::new(&progress, Some(Instant::now()), 10.0, 2);
        assert!(watch.is_over() && !watch.is_over_for_scripts() && watch.slowness().is_none());
        watch.did(5.0);
        watch.did_compare();
        assert!(watch.is_over_for_scripts() && watch.is_behind() && watch.slowness().is_some());
        let watch = Watch::new(&progress, None, 10.0, 2);
        watch.did(5.0);
        assert!(!watch.is_over() && !watch.is_behind());
        watch.did_cell(5.0);
        assert!(watch.place(&watch.state()).starts_with("1 of 2 cells, about 1 s left"));
        watch.goes_on(10.0, 1);
        let state = watch.state();
        assert_eq!((state.total, state.cells), (20.0, (0, 1)));
    }

    #[test]
    fn estimates_are_round_and_never_too_small() {
        for (seconds, text) in
            [(0.2, "1 s"), (7.1, "8 s"), (41.0, "45 s"), (101.0, "2 min"), (119.0, "2 min")]
        {
            assert_eq!(rounded(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!(about(Duration::from_secs(41)), "about 45 s");
        let budget = option(Duration::from_secs(3_601));
        assert_eq!(humantime::parse_duration(&budget).unwrap(), Duration::from_secs(61 * 60));
    }
}
