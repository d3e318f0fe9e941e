//! The host's key-value store behind a cache, the way metashrew's own library does it: reads go through the
//! cache, writes stay in it until the flush. The cache is static state that nothing ever clears. A host that
//! doesn't reset the instance between two blocks lets the second one read what the first one left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use abi::ArrayBuffer;

use crate::Growing;

#[derive(Default)]
struct Store {
    cache: HashMap<Rc<[u8]>, Entry>,
    /// Keys in the order of their first write, so that the flush doesn't depend on how the map hashes.
    pending: Vec<Rc<[u8]>>,
}

struct Entry {
    value: Rc<[u8]>,
    pending: bool,
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// The value of `key`; empty if there is none.
pub fn get(key: &[u8]) -> Rc<[u8]> {
    STORE.with_borrow_mut(|store| {
        if let Some(entry) = store.cache.get(key) {
            return entry.value.clone();
        }
        let value = fetch(key);
        let entry = Entry { value: value.clone(), pending: false };
        store.cache.insert(key.into(), entry);
        value
    })
}

/// Writes `value` at the next flush. An empty value is how a key is removed.
pub fn set(key: &[u8], value: &[u8]) {
    STORE.with_borrow_mut(|store| {
        let value = value.into();
        match store.cache.get_mut(key) {
            Some(entry) if entry.pending => entry.value = value,
            _ => {
                let key: Rc<[u8]> = key.into();
                store.pending.push(key.clone());
                store.cache.insert(key, Entry { value, pending: true });
            }
        }
    })
}

/// Appends to the list under `key`, whose length is at `<key>/length` and whose elements are at
/// `<key>/<index>`.
pub fn append(key: &[u8], value: &[u8]) {
    let length_key = [key, b"/length"].concat();
    let length = get(&length_key).first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    set(&[key, b"/", &length.to_le_bytes()].concat(), value);
    set(&length_key, &(length + 1).to_le_bytes());
}

/// How many keys the cache holds: in a fresh instance, those that this block has read or written.
pub fn cached() -> u32 {
    STORE.with_borrow(|store| store.cache.len() as u32)
}

/// Hands everything written since the last flush to the host, in one message.
pub fn flush() {
    STORE.with_borrow_mut(|store| {
        let mut list = Growing::default();
        for key in store.pending.drain(..) {
            let entry = store.cache.get_mut(&key).expect("what is pending is cached");
            entry.pending = false;
            list.push_element(&key);
            list.push_element(&entry.value);
        }
        abi::flush(&list);
    })
}

fn fetch(key: &[u8]) -> Rc<[u8]> {
    let key = Growing::from(key);
    let mut value = Growing::zeroed(abi::get_len(&key));
    // SAFETY: the value was made as long as the host has said.
    unsafe { abi::get(&key, &mut value) };
    value.bytes().into()
}
