//! The units of a module one by one: where they stand in a graph's outputs, and what each is called.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::model::error::ModelError;
use crate::model::module::Module;

/// What the queries of an attention look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// Their own stream.
    #[serde(rename = "self")]
    SelfAttention,
    /// The other stream.
    Cross,
}

impl fmt::Display for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfAttention => "self",
            Self::Cross => "cross",
        })
    }
}

/// The units of one kind in one layer, as the graph puts them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerUnits {
    /// The graph's output, such as `vision/layer-00/query-key`.
    pub output: String,
    /// The layer's number from 0; the embedding comes after the last.
    pub layer: usize,
    /// Which activations of it.
    pub kind: Kind,
    /// The attentions that the units belong to, one after the other; empty where they belong to none.
    pub attentions: Vec<Attention>,
    /// Heads of an attention, where the units belong to heads.
    pub n_heads: Option<usize>,
    /// How many; head by head for each attention.
    pub n_units: usize,
}

impl LayerUnits {
    /// Attention, head and dimension of each unit in order, each absent where it has none.
    fn parts(&self) -> impl Iterator<Item = (Option<Attention>, Option<usize>, Option<usize>)> + '_ {
        let per_attention = self.n_units / self.attentions.len().max(1);
        let head_dim = self.n_heads.map(|n_heads| (per_attention / n_heads.max(1)).max(1));
        let has_dims = self.n_heads != Some(per_attention);
        (0..self.n_units).map(move |unit| {
            let within = unit % per_attention.max(1);
            let attention = self.attentions.get(unit / per_attention.max(1)).copied();
            match head_dim {
                Some(head_dim) => (attention, Some(within / head_dim), has_dims.then_some(within % head_dim)),
                None => (attention, None, Some(within)),
            }
        })
    }
}

/// The name of every unit, in the order of the columns that extraction returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTable {
    model: String,
    module: Module,
    layers: Vec<LayerUnits>,
}

impl UnitTable {
    /// A table for these layers of one module.
    ///
    /// # Errors
    /// `model` has a character that would break a unit's name or the table.
    pub fn new(model: &str, module: Module, layers: Vec<LayerUnits>) -> Result<Self, ModelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if model.is_empty() || !model.chars().all(plain) {
            return Err(ModelError::ModelName { name: model.to_owned() });
        }
        Ok(Self { model: model.to_owned(), module, layers })
    }

    /// How many units there are.
    #[must_use]
    pub fn n_units(&self) -> usize {
        self.layers.iter().map(|layer| layer.n_units).sum()
    }

    /// The table as TSV with the columns `unit module layer kind attention head dim`, `n/a` where a unit has none.
    ///
    /// A unit is called `model/module/layer/head/dim`. The head of a query-key unit is its number, that of any other says the
    /// kind, as `mlp` and `query-3`, so that a name means one unit whatever else a study takes; where a layer has two attentions,
    /// the head says which: `cross-3`. A unit without a dimension has `-` there.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let mut tsv = String::from("unit\tmodule\tlayer\tkind\tattention\thead\tdim\n");
        let (model, module) = (&self.model, self.module);
        for units in &self.layers {
            let (layer, kind) = (units.layer, units.kind);
            for (attention, head, dim) in units.parts() {
                let of_kind = (kind != Kind::QueryKey).then(|| kind.to_string());
                let of_attention = attention.filter(|_| units.attentions.len() > 1).map(|which| which.to_string());
                let head_name: Vec<String> =
                    [of_kind, of_attention, head.map(|head| head.to_string())].into_iter().flatten().collect();
                let head_name = head_name.join("-");
                let dim_name = shown(dim, "-");
                let (attention, head, dim) = (shown(attention, "n/a"), shown(head, "n/a"), shown(dim, "n/a"));
                let name = format!("{model}/{module}/{layer}/{head_name}/{dim_name}");
                let line = writeln!(tsv, "{name}\t{module}\t{layer}\t{kind}\t{attention}\t{head}\t{dim}");
                line.expect("writing to a string cannot fail");
            }
        }
        tsv
    }
}

fn shown(part: Option<impl fmt::Display>, absent: &str) -> String {
    part.map_or_else(|| absent.to_owned(), |part| part.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::UnitSelection;
    use super::*;
    use crate::model::module::{LayerShape, ModuleInput, ModuleShape};

    #[test]
    fn the_table_names_units_head_by_head() {
        let table = |kind, has_cross| {
            let module = if has_cross { Module::FusionText } else { Module::Vision };
            let units = UnitSelection::of(kind, kind.reductions()[0]).of_module(module, &shape(has_cross)).unwrap();
            let table = UnitTable::new("clip", module, units).unwrap();
            let tsv = table.to_tsv();
            assert_eq!(tsv.lines().count(), table.n_units() + 1);
            tsv
        };
        let tsv = table(Kind::QueryKey, false);
        assert!(tsv.starts_with(
            "unit\tmodule\tlayer\tkind\tattention\thead\tdim\nclip/vision/0/0/0\tvision\t0\tquery-key\tself\t0\t0\n"
        ));
        assert!(tsv.ends_with("clip/vision/0/1/2\tvision\t0\tquery-key\tself\t1\t2\n"));
        let tsv = table(Kind::Query, true);
        assert!(tsv.contains("\nclip/fusion-text/0/query-self-1/2\tfusion-text\t0\tquery\tself\t1\t2\n"));
        assert!(tsv.ends_with("\nclip/fusion-text/0/query-cross-1/2\tfusion-text\t0\tquery\tcross\t1\t2\n"));
        assert!(
            table(Kind::HeadNorm, false)
                .ends_with("\nclip/vision/0/head-norm-1/-\tvision\t0\thead-norm\tself\t1\tn/a\n")
        );
        assert!(table(Kind::Mlp, false).ends_with("\nclip/vision/0/mlp/4\tvision\t0\tmlp\tn/a\tn/a\t4\n"));
        assert!(
            table(Kind::Embedding, false).ends_with("\nclip/vision/1/embedding/6\tvision\t1\tembedding\tn/a\tn/a\t6\n")
        );
        assert!(UnitTable::new("a/b", Module::Vision, vec![]).is_err());
    }

    fn shape(has_cross_attention: bool) -> ModuleShape {
        let layer = LayerShape { width: 6, n_heads: 2, mlp_width: 5, has_cross_attention };
        let input = ModuleInput { image: None, text: None };
        ModuleShape { input, layers: vec![layer], embedding_width: 7, has_first_token: true }
    }
}
