//! What a pool holds to.

/// The parts of a pool's promise. Less than everything makes a mutant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A session that was used is reset.
    pub(crate) resets: bool,
    /// It is so before it is lent again, also where nobody has come to it in the meantime.
    pub(crate) before_it_is_lent: bool,
    /// It is so after a block that failed, too.
    pub(crate) after_failure: bool,
    /// A session whose caller panicked is used no more.
    pub(crate) drops_after_panic: bool,
    /// What was meant for a caller who has gone goes to the next.
    pub(crate) hands_on: bool,
    /// Who came first is served first.
    pub(crate) in_turn: bool,
    /// A place whose session is dropped is free for another.
    pub(crate) replaces: bool,
}

impl Rules {
    /// The whole promise.
    pub(crate) const ALL: Self = Self {
        resets: true,
        before_it_is_lent: true,
        after_failure: true,
        drops_after_panic: true,
        hands_on: true,
        in_turn: true,
        replaces: true,
    };
}
