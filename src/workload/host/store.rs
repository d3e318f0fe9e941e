//! What the indexer has stored: a base that nobody writes to, and what was written since.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hash::hex;

/// Keys with their values.
pub type Entries = HashMap<Box<[u8]>, Box<[u8]>>;

/// A key and its value.
pub type Entry = (Box<[u8]>, Box<[u8]>);

/// What stores begin with. It is read only, so that all sessions of a process have one.
#[derive(Debug, Default)]
pub struct Base {
    entries: Entries,
    digest: OnceLock<String>,
}

impl Base {
    /// A base that holds these.
    pub fn new(entries: Entries) -> Self {
        Self { entries, digest: OnceLock::new() }
    }

    /// What it holds, in any order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// What the indexer has stored, from block to block. A clone shares the base.
#[derive(Clone, Debug, Default)]
pub struct Store {
    base: Arc<Base>,
    /// The values of what was written since, and nothing for what was removed.
    written: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// Time that the next function of the host loses which asks for the store.
    slow: Option<Duration>,
}

impl Store {
    /// A store to which nothing was written yet.
    pub fn over(base: Arc<Base>) -> Self {
        Self { base, written: HashMap::new(), slow: None }
    }

    /// Makes the next function of the host slow that asks for the store, to see whether that is found.
    pub fn slow_down(&mut self, length: Duration) {
        self.slow = Some(length);
    }

    /// Takes the time that the function which asks is to lose, if it is.
    pub(super) fn take_slow(&mut self) -> Option<Duration> {
        self.slow.take()
    }

    /// The value of a key, if there is one.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.written.get(key) {
            Some(written) => written.as_deref(),
            None => self.base.entries.get(key).map(|value| &**value),
        }
    }

    /// Gives a key a value.
    pub fn insert(&mut self, key: Box<[u8]>, value: Box<[u8]>) {
        self.written.insert(key, Some(value));
    }

    /// Removes all keys that begin so; returns them with the values that they had.
    pub fn remove_prefix(&mut self, prefix: &[u8]) -> Vec<Entry> {
        let found = self.iter().filter(|(key, _)| key.starts_with(prefix));
        let removed: Vec<Entry> = found.map(|(key, value)| (key.into(), value.into())).collect();
        self.written.extend(removed.iter().map(|(key, _)| (key.clone(), None)));
        removed
    }

    /// Everything in it, in any order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let written = self.written.iter().filter_map(|(key, value)| Some((&**key, value.as_deref()?)));
        self.base.iter().filter(|(key, _)| !self.written.contains_key(*key)).chain(written)
    }

    /// Everything in it, for other stores to begin with.
    pub fn to_base(&self) -> Base {
        Base::new(self.iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Whether anything was written since.
    pub fn is_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// Brings it back to its base, however large that is.
    pub fn rewind(&mut self) {
        take(&mut self.written);
    }
}

impl FromIterator<Entry> for Store {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::over(Arc::new(Base::new(entries.into_iter().collect())))
    }
}

/// One store, shared by the states of one session's blocks. Sessions can be sent to other threads, so it can, too.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// Shares a store.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// The store, for as long as the guard lives. Nobody else wants it meanwhile: blocks run one after another.
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        // No invariant spans two writes, so that a store which a panic left behind is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SHA-256 over all keys and values of a store, in key order, each preceded by its length.
pub fn digest(store: &Store) -> String {
    // Requests write nothing, and the base of theirs is large.
    if store.written.is_empty() {
        return store.base.digest.get_or_init(|| digest_of(store.base.iter())).clone();
    }
    digest_of(store.iter())
}

fn digest_of<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable();
    let mut hash = Sha256::new();
    for part in entries.iter().flat_map(|(key, value)| [key, value]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(entries: &[(&str, &str)]) -> Store {
        entries.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect()
    }

    fn set(store: &mut Store, key: &str, value: &str) {
        store.insert(key.as_bytes().into(), value.as_bytes().into());
    }

    fn sorted(store: &Store) -> Vec<(&[u8], &[u8])> {
        let mut entries: Vec<_> = store.iter().collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn the_digest_of_a_store_depends_on_where_keys_end() {
        assert_ne!(digest(&store(&[("a", "bc")])), digest(&store(&[("ab", "c")])));
    }

    #[test]
    fn what_was_written_hides_the_base_and_leaves_it_to_others() {
        let mut first = store(&[("a", "1"), ("b", "2")]);
        let mut second = first.clone();
        set(&mut first, "a", "changed");
        set(&mut first, "c", "3");
        assert_eq!(first.get(b"a"), Some(&b"changed"[..]));
        assert_eq!(sorted(&first), [(&b"a"[..], &b"changed"[..]), (b"b", b"2"), (b"c", b"3")]);
        assert_eq!(sorted(&second), [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
        set(&mut second, "b", "");
        assert_eq!(second.get(b"b"), Some(&b""[..]), "an empty value is a value");
        assert!(Arc::ptr_eq(&first.base, &second.base));
    }

    #[test]
    fn a_removed_key_is_gone_wherever_it_was() {
        let mut store = store(&[("a/1", "base"), ("a/2", "base"), ("b", "base")]);
        set(&mut store, "a/2", "written");
        set(&mut store, "a/3", "written");
        let mut removed = store.remove_prefix(b"a/");
        removed.sort_unstable();
        let removed: Vec<_> = removed.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(removed, [(&b"a/1"[..], &b"base"[..]), (b"a/2", b"written"), (b"a/3", b"written")]);
        assert_eq!(sorted(&store), [(&b"b"[..], &b"base"[..])]);
        assert!(store.get(b"a/1").is_none() && store.remove_prefix(b"a/").is_empty());
        set(&mut store, "a/1", "again");
        assert_eq!(store.get(b"a/1"), Some(&b"again"[..]));
    }

    #[test]
    fn a_store_that_is_rewound_is_as_it_began() {
        let mut changed = store(&[("a", "1"), ("b", "2")]);
        let begun = digest(&changed);
        set(&mut changed, "a", "changed");
        let kept = changed.clone();
        changed.remove_prefix(b"b");
        assert_ne!(digest(&changed), begun);
        changed.rewind();
        assert_eq!((digest(&changed), changed.get(b"b")), (begun, Some(&b"2"[..])));
        assert_eq!(kept.get(b"a"), Some(&b"changed"[..]), "a copy is of its own");
    }

    #[test]
    fn the_digest_is_of_what_is_stored_and_not_of_where() {
        let mut layered = store(&[("a", "1"), ("b", "2"), ("c", "3")]);
        layered.remove_prefix(b"c");
        set(&mut layered, "b", "changed");
        assert_eq!(digest(&layered), digest(&store(&[("a", "1"), ("b", "changed")])));
    }
}
