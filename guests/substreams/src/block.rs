//! Blocks of Bitcoin as Firehose has them: `sf.bitcoin.type.v1.Block`, by the names and numbers of its fields. The suite makes
//! them by this file, too.

/// A block.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Block {
    /// As it is shown, in reversed byte order.
    #[prost(string, tag = "1")]
    pub hash: String,
    #[prost(int32, tag = "3")]
    pub size: i32,
    /// Without witnesses.
    #[prost(int32, tag = "4")]
    pub stripped_size: i32,
    #[prost(int32, tag = "5")]
    pub weight: i32,
    #[prost(int64, tag = "6")]
    pub height: i64,
    #[prost(int32, tag = "7")]
    pub version: i32,
    #[prost(string, tag = "8")]
    pub version_hex: String,
    #[prost(string, tag = "9")]
    pub merkle_root: String,
    #[prost(message, repeated, tag = "10")]
    pub tx: Vec<Transaction>,
    /// Seconds since 1970.
    #[prost(int64, tag = "11")]
    pub time: i64,
    /// The median of the eleven blocks before it.
    #[prost(int64, tag = "12")]
    pub mediantime: i64,
    #[prost(uint32, tag = "13")]
    pub nonce: u32,
    /// The target, in hex.
    #[prost(string, tag = "14")]
    pub bits: String,
    #[prost(double, tag = "15")]
    pub difficulty: f64,
    /// Hashes that the chain is worth, in hex.
    #[prost(string, tag = "16")]
    pub chainwork: String,
    #[prost(uint32, tag = "17")]
    pub n_tx: u32,
    #[prost(string, tag = "18")]
    pub previous_hash: String,
}

/// A transaction.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Transaction {
    /// All of it.
    #[prost(string, tag = "1")]
    pub hex: String,
    #[prost(string, tag = "2")]
    pub txid: String,
    /// With witnesses.
    #[prost(string, tag = "3")]
    pub hash: String,
    #[prost(int32, tag = "4")]
    pub size: i32,
    #[prost(int32, tag = "5")]
    pub vsize: i32,
    #[prost(int32, tag = "6")]
    pub weight: i32,
    #[prost(uint32, tag = "7")]
    pub version: u32,
    #[prost(uint32, tag = "8")]
    pub locktime: u32,
    #[prost(message, repeated, tag = "9")]
    pub vin: Vec<Vin>,
    #[prost(message, repeated, tag = "10")]
    pub vout: Vec<Vout>,
    /// Of the block.
    #[prost(string, tag = "11")]
    pub blockhash: String,
    #[prost(int64, tag = "12")]
    pub blocktime: i64,
}

/// An input.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Vin {
    #[prost(string, tag = "1")]
    pub txid: String,
    #[prost(uint32, tag = "2")]
    pub vout: u32,
    #[prost(message, optional, tag = "3")]
    pub script_sig: Option<ScriptSig>,
    #[prost(uint32, tag = "4")]
    pub sequence: u32,
    /// In hex.
    #[prost(string, repeated, tag = "5")]
    pub txinwitness: Vec<String>,
    /// The script of an input that creates money, in hex; such an input has neither `txid` nor `vout`.
    #[prost(string, tag = "6")]
    pub coinbase: String,
}

/// An output.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Vout {
    /// In BTC.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Its index.
    #[prost(uint32, tag = "2")]
    pub n: u32,
    #[prost(message, optional, tag = "3")]
    pub script_pub_key: Option<ScriptPubKey>,
}

/// What an input shows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScriptSig {
    #[prost(string, tag = "1")]
    pub asm: String,
    #[prost(string, tag = "2")]
    pub hex: String,
}

/// What an output asks for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScriptPubKey {
    #[prost(string, tag = "1")]
    pub asm: String,
    #[prost(string, tag = "2")]
    pub hex: String,
    #[prost(int32, tag = "3")]
    pub req_sigs: i32,
    /// Such as `pubkeyhash`.
    #[prost(string, tag = "4")]
    pub r#type: String,
    #[prost(string, tag = "5")]
    pub address: String,
    /// Of old, where there is no one address.
    #[prost(string, repeated, tag = "6")]
    pub addresses: Vec<String>,
}
