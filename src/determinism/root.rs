//! The state of an indexer as one hash: the root of a Jellyfish Merkle tree over its key-value store.
//!
//! The tree is that of `jmt`, which Diem's tree became and several chains run on: a root here is what nodes of such a
//! chain would compare. It is built anew from the whole store, so that no tree has to be kept.

use anyhow::Result;
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Sha256Jmt, Version};
use sha2::Sha256;

use crate::workload::host::{Store, hex};

/// The root over all keys and values, in hex.
///
/// # Errors
/// Never with the empty reader; the tree's own interface allows for readers that fail.
pub fn root(store: &Store) -> Result<String> {
    let entries = store.iter().map(|(key, value)| (KeyHash::with::<Sha256>(key), Some(value.to_vec())));
    let (root, _) = Sha256Jmt::new(&Nothing).put_value_set(entries, 0)?;
    Ok(hex(&root.0))
}

/// A tree without nodes.
struct Nothing;

impl TreeReader for Nothing {
    fn get_node_option(&self, _: &NodeKey) -> Result<Option<Node>> {
        Ok(None)
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> Result<Option<OwnedValue>> {
        Ok(None)
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(entries: &[(&str, &str)]) -> Store {
        entries.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect()
    }

    #[test]
    fn the_root_depends_on_keys_and_values_and_not_on_their_order() {
        let one = root(&store(&[("a", "1"), ("b", "2")])).unwrap();
        assert_eq!(one.len(), 64);
        assert_eq!(one, root(&store(&[("b", "2"), ("a", "1")])).unwrap());
        for other in [&[("a", "1"), ("b", "3")][..], &[("a", "1"), ("c", "2")], &[("a", "1")], &[]] {
            assert_ne!(one, root(&store(other)).unwrap(), "{other:?}");
        }
    }

    #[test]
    fn an_empty_state_has_a_root() {
        assert_eq!(root(&Store::default()).unwrap().len(), 64);
    }
}
