//! Outputs that can be spent, as the index has them.

use std::rc::Rc;

/// An output that nobody has spent.
pub struct Unspent {
    /// Txid and number of the output.
    pub place: Rc<[u8]>,
    /// Height, amount and script.
    pub value: Rc<[u8]>,
}

impl Unspent {
    /// The output at a place, if there is one.
    pub fn at(place: Rc<[u8]>) -> Option<Self> {
        let value = indexer::get(&[b"/outpoint/", &place[..]].concat());
        (!value.is_empty()).then_some(Self { place, value })
    }

    pub fn amount(&self) -> u64 {
        let amount = self.value[size_of::<u32>()..].first_chunk();
        amount.map_or_else(|| indexer::fail("an output without an amount"), |amount| u64::from_le_bytes(*amount))
    }
}

/// What of that which was paid to a script nobody has spent.
pub fn unspent(script: &[u8]) -> impl Iterator<Item = Unspent> {
    let list = [b"/script/", script].concat();
    let length = indexer::get(&[&list[..], b"/length"].concat());
    let length = length.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let place = move |index: u32| indexer::get(&[&list[..], b"/", &index.to_le_bytes()].concat());
    (0..length).filter_map(move |index| Unspent::at(place(index)))
}
