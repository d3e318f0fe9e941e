//! Whose blocks a file holds, by the 4-byte magic that begins each record.

use std::borrow::Cow;

use bitcoin::p2p::Magic;

use super::super::host::hex;

/// Bitcoin's networks.
const NETWORKS: [(Magic, &str); 5] = [
    (Magic::BITCOIN, "mainnet"),
    (Magic::TESTNET3, "testnet3"),
    (Magic::TESTNET4, "testnet4"),
    (Magic::SIGNET, "signet"),
    (Magic::REGTEST, "regtest"),
];

pub(super) const ANY: &str = "mainnet, testnet3, testnet4, signet or regtest";

/// Other chains whose nodes write such files, from their `pchMessageStart`. Bitcoin Cash and others keep Bitcoin's magic on
/// disk, and are only told from it by blocks that do not decode.
const OTHERS: [([u8; 4], &str); 10] = [
    ([0xfb, 0xc0, 0xb6, 0xdb], "Litecoin"),
    ([0xfd, 0xd2, 0xc8, 0xf1], "Litecoin testnet"),
    ([0xc0, 0xc0, 0xc0, 0xc0], "Dogecoin"),
    ([0xfc, 0xc1, 0xb7, 0xdc], "Dogecoin testnet"),
    ([0xf9, 0xbe, 0xb4, 0xfe], "Namecoin"),
    ([0xf9, 0xbe, 0xb4, 0xd4], "Groestlcoin"),
    ([0xbf, 0x0c, 0x6b, 0xbd], "Dash"),
    ([0xfa, 0xc3, 0xb6, 0xda], "DigiByte"),
    ([0x24, 0xe9, 0x27, 0x64], "Zcash"),
    ([0xe6, 0xe8, 0xe9, 0xe5], "Peercoin"),
];

/// The network of a block file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) magic: [u8; 4],
    pub(super) name: Cow<'static, str>,
}

impl Network {
    /// The network of Bitcoin's whose magic `bytes` begin with.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let magic = *bytes.first_chunk()?;
        let known = NETWORKS.iter().find(|(known, _)| known.to_bytes() == magic);
        known.map(|(_, name)| Self { magic, name: Cow::Borrowed(name) })
    }

    /// One that has no name here: a signet of somebody's own has a magic made of its challenge.
    pub(super) fn unnamed(magic: [u8; 4]) -> Self {
        let name = format!("the network with the magic {} (a signet of one's own?)", hex(&magic));
        Self { magic, name: name.into() }
    }
}

/// The other chain whose magic `bytes` begin with.
pub(super) fn other_chain(bytes: &[u8]) -> Option<&'static str> {
    let magic = bytes.first_chunk()?;
    OTHERS.iter().find(|(known, _)| known == magic).map(|(_, name)| *name)
}

/// Where the next magic begins in `bytes`: that of `network`, or of any of Bitcoin's while it is not known.
pub(super) fn position(bytes: &[u8], network: Option<&Network>) -> Option<usize> {
    let is_magic = |window: &[u8]| match network {
        Some(network) => window == network.magic,
        None => NETWORKS.iter().any(|(known, _)| known.to_bytes() == window),
    };
    bytes.windows(4).position(is_magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_by_magic() {
        let name = |bytes: &[u8]| Network::of(bytes).map(|network| network.name.into_owned());
        assert_eq!(name(&[0xf9, 0xbe, 0xb4, 0xd9, 1]).as_deref(), Some("mainnet"));
        assert_eq!(name(&[0x0b, 0x11, 0x09, 0x07]).as_deref(), Some("testnet3"));
        assert_eq!(name(&[0x1c, 0x16, 0x3f, 0x28]).as_deref(), Some("testnet4"));
        assert_eq!(name(&[0x0a, 0x03, 0xcf, 0x40]).as_deref(), Some("signet"));
        assert_eq!(name(&[0xfa, 0xbf, 0xb5, 0xda]).as_deref(), Some("regtest"));
        assert_eq!(name(&[0xf9, 0xbe, 0xb4]), None);
        assert_eq!(name(&[0, 0, 0, 0]), None);
        assert_eq!(other_chain(&[0xfb, 0xc0, 0xb6, 0xdb, 9]), Some("Litecoin"));
        assert_eq!(other_chain(&[0xf9, 0xbe, 0xb4, 0xd9]), None);
    }

    #[test]
    fn the_next_magic() {
        let regtest = Network::of(&[0xfa, 0xbf, 0xb5, 0xda]);
        let bytes = [0xfa, 0xfa, 0xbf, 0xb5, 0xda, 0xf9, 0xbe, 0xb4, 0xd9];
        assert_eq!(position(&bytes, regtest.as_ref()), Some(1));
        assert_eq!(position(&bytes, Network::of(&bytes[5..]).as_ref()), Some(5));
        assert_eq!(position(&bytes[2..], None), Some(3));
        assert_eq!(position(&bytes[..4], None), None);
    }
}
