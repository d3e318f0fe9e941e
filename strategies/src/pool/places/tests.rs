//! Whatever callers do, in whatever order: nothing is lost, nobody waits beside a free place, and who came first is first.

use std::task::Waker;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;

const MOST: usize = 4;
const MOST_BYTES: u64 = 100;
const NEED: u64 = 30;

/// Places with everybody who has one, or waits.
struct Model {
    places: Places<u32>,
    /// Sessions that are lent, and places without one.
    lent: Vec<(Option<u32>, u64)>,
    /// Tickets, as they were given.
    waiting: Vec<Ticket>,
    sessions: u32,
    dropped: u64,
    served: u64,
}

impl Model {
    fn new(rules: Rules) -> Self {
        let places = Places::new(Limits::most(MOST).most_bytes(MOST_BYTES), rules, NEED);
        Self { places, lent: Vec::new(), waiting: Vec::new(), sessions: 0, dropped: 0, served: 0 }
    }

    fn lend(&mut self, grant: Grant<u32>) {
        self.lent.push(match grant {
            Grant::Clean(Kept { session, bytes }) | Grant::Dirty(Kept { session, bytes }) => {
                (Some(session), bytes)
            }
            Grant::Empty(bytes) => (None, bytes),
        });
    }

    fn ask(&mut self) {
        match self.places.ask(Waker::noop().clone()) {
            Asked::Granted(grant) => self.lend(grant),
            Asked::Queued(ticket) => self.waiting.push(ticket),
            Asked::Refused(scarce) => panic!("{scarce}"),
        }
    }

    /// Somebody who waits looks; in the order of coming, those who have been given something come before all others.
    fn look(&mut self, at: usize) -> Result<(), String> {
        let first = self.waiting.iter().position(|ticket| self.places.granted.contains_key(ticket));
        if let Some(late) = self.waiting.iter().rposition(|ticket| self.places.granted.contains_key(ticket))
            && self.waiting[..late].iter().any(|ticket| !self.places.granted.contains_key(ticket))
        {
            return Err(format!("{first:?} is served after {late}"));
        }
        let ticket = self.waiting[at];
        if let Some(grant) = self.places.look(ticket, &mut Waker::noop().clone()) {
            self.waiting.remove(at);
            self.served += 1;
            self.lend(grant);
        }
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        if let (_, Some(grant)) = self.places.leave(self.waiting.remove(at)) {
            self.lend(grant);
            self.come_back(self.lent.len() - 1, 0, true);
        }
    }

    fn start(&mut self, at: usize, bytes: u64) {
        let (session, before) = &mut self.lent[at];
        if session.is_none() {
            self.sessions += 1;
            *session = Some(self.sessions);
            self.places.started(std::mem::replace(before, bytes), bytes);
        }
    }

    fn come_back(&mut self, at: usize, grown: u64, is_clean: bool) {
        let (session, before) = self.lent.swap_remove(at);
        let Some(session) = session else {
            self.places.vacate(before, Left::Empty);
            return;
        };
        if let Err(kept) = self.places.give(Kept { session, bytes: before + grown }, before, is_clean) {
            self.dropped += 1;
            self.places.vacate(kept.bytes, Left::Shed);
        }
    }

    fn fail(&mut self, at: usize) {
        let (session, bytes) = self.lent.swap_remove(at);
        self.dropped += u64::from(session.is_some());
        let why = if session.is_some() { Left::Replaced } else { Left::Empty };
        self.places.vacate(bytes, why);
    }

    /// What holds at any time.
    fn check(&self) -> Result<(), String> {
        let now = self.places.metrics(0, Duration::ZERO);
        let granted = self.places.granted.len();
        let waits = now.waiting > 0;
        let free = now.idle > 0 || (now.places < MOST && self.places.fits());
        let holds = [
            ("places", now.places == now.in_use + now.idle && now.in_use == self.lent.len() + granted),
            ("most", now.places <= MOST),
            ("those to be reset are idle", now.to_reset <= now.idle),
            ("waiting", now.waiting + granted == self.waiting.len()),
            ("nobody waits beside a free place", !(waits && free)),
            ("sessions", now.started - now.replaced - now.shed == u64::from(self.sessions) - self.dropped),
            ("no place counts nothing", now.places > 0 || now.bytes == 0),
        ];
        match holds.into_iter().find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((what, _)) => Err(format!("{what}: {now:?}")),
        }
    }
}

/// How often somebody was served who had waited, in a history of so many steps; or what was wrong.
fn history(rules: Rules, seed: u64, steps: usize) -> Result<u64, String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model::new(rules);
    for _ in 0..steps {
        let (lent, waiting) = (model.lent.len(), model.waiting.len());
        match random.random_range(0..8) {
            0..=2 => model.ask(),
            3 if waiting > 0 => model.look(random.random_range(0..waiting))?,
            4 if waiting > 0 => model.leave(random.random_range(0..waiting)),
            5 if lent > 0 => model.start(random.random_range(0..lent), random.random_range(10..40)),
            6 if lent > 0 => {
                let grown = random.random_range(0..20);
                model.come_back(random.random_range(0..lent), grown, random.random());
            }
            7 if lent > 0 => model.fail(random.random_range(0..lent)),
            _ => {}
        }
        model.check()?;
    }
    Ok(model.served)
}

#[test]
fn whatever_callers_do_nobody_waits_beside_a_free_place_and_nothing_is_lost() {
    let served: u64 = (0..200).map(|seed| history(Rules::ALL, seed, 500).unwrap()).sum();
    assert!(served > 1000, "{served} were served");
}

#[test]
fn a_queue_in_another_order_and_places_that_are_lost_are_seen() {
    for rules in [Rules { in_turn: false, ..Rules::ALL }, Rules { replaces: false, ..Rules::ALL }] {
        assert!((0..20).any(|seed| history(rules, seed, 500).is_err()), "{rules:?}");
    }
}
