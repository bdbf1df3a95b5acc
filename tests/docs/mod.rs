//! The pages for readers, `README.md` and `docs/`, held to what they say.

mod links;
