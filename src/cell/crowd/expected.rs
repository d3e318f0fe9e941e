//! What is right: every answer at every place of the chain, and every store, by fresh instances one call after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use reset_strategies::registry;

use super::super::ground::Ground;
use super::super::times::Stages;
use super::chain::{Branches, Tip};
use super::house::{Asked, House, copy_of};
use crate::protocol::{Observed, REFERENCE, Spec};
use crate::workload::host::{self, Base};

/// What a place of the chain has.
pub(super) struct Version {
    pub store: Arc<Base>,
    pub digest: String,
    /// By request.
    pub answers: Vec<Observed>,
    /// What the next block does that is cut in half, if there is a next block.
    pub cut: Option<Observed>,
}

/// Every place of every branch.
pub(super) struct Expected {
    versions: BTreeMap<Tip, Version>,
    pub branches: Branches,
    pub requests: Vec<Arc<[u8]>>,
}

impl Expected {
    /// Runs all branches, and asks each request at each place of them.
    ///
    /// # Errors
    /// When fresh instances cannot.
    pub fn compute(ground: &Arc<Ground>, branches: Branches) -> Result<Self> {
        let spec = Spec { strategy: REFERENCE.into(), group: None, warm_bytes: 0, ..ground.spec.clone() };
        let ground = Arc::new(Ground::lay(&spec, registry::find, &mut Stages::here())?);
        let house = House::open(&ground)?;
        let guest = house.enter()?;
        let mut versions = BTreeMap::new();
        for branch in 0..branches.count() {
            let mut store = Arc::new(Base::default());
            for height in 0..=branches.length() {
                let tip = Tip { branch, height };
                let ask = |asked: Asked, input: &Arc<[u8]>| guest.run((asked, 0), input, &copy_of(&store));
                let answers = ground.trace.iter().map(|request| ask(Asked::View, request));
                let answers = answers.collect::<Result<_>>()?;
                let next = branches.next(tip);
                let cut = next.map(|block| ask(Asked::Block, &cut(block)));
                let digest = host::digest(&copy_of(&store).lock());
                versions
                    .insert(tip, Version { store: store.clone(), digest, answers, cut: cut.transpose()? });
                if let Some(block) = next {
                    let after = copy_of(&store);
                    guest.run((Asked::Block, 0), block, &after)?;
                    store = Arc::new(after.lock().to_base());
                }
            }
        }
        let requests = ground.trace.clone();
        Ok(Self { versions, branches, requests })
    }

    /// What a place has.
    pub fn at(&self, tip: Tip) -> &Version {
        &self.versions[&tip]
    }

    /// The stores of the first branch, by height.
    pub fn main(&self) -> Vec<(Tip, Arc<Base>)> {
        let main = self.versions.iter().filter(|(tip, _)| tip.branch == 0);
        main.map(|(tip, version)| (*tip, version.store.clone())).collect()
    }
}

/// The first half of a block, on which indexers fail.
pub(super) fn cut(block: &[u8]) -> Arc<[u8]> {
    block[..block.len() / 2].into()
}
