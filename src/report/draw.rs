//! Charts to SVG without a browser: the same library as on the page, run by an embedded JavaScript engine.
//!
//! The engine has no files, no network and no clock that charts read: equal charts give equal bytes.

use super::{
    figure::Figure,
    script::{CHARTS, THEME},
};
use rquickjs::{CatchResultExt, Context, Ctx, Function, Runtime};
use thiserror::Error;

/// What Vega expects of its surroundings and a bare engine does not have.
const SURROUNDINGS: &str = include_str!("scripts/surroundings.js");
/// Most memory of the engine.
const MEMORY_BYTES: usize = 1 << 30;
const STACK_BYTES: usize = 4 << 20;

/// Why a chart could not be drawn.
#[derive(Debug, Error)]
pub enum DrawError {
    /// The engine did not start, or the library did not load.
    #[error("the chart library does not load: {0}")]
    Engine(String),
    /// The library refused the chart.
    #[error("chart `{name}` cannot be drawn: {message}")]
    Chart {
        /// Name of the chart.
        name: String,
        /// What the library said.
        message: String,
    },
}

/// The chart library, loaded.
pub struct Drawer {
    runtime: Runtime,
    context: Context,
}

impl Drawer {
    /// Loads the library.
    ///
    /// # Errors
    /// [`DrawError::Engine`].
    pub fn new() -> Result<Self, DrawError> {
        let engine = |error: rquickjs::Error| DrawError::Engine(error.to_string());
        let runtime = Runtime::new().map_err(engine)?;
        runtime.set_memory_limit(MEMORY_BYTES);
        runtime.set_max_stack_size(STACK_BYTES);
        let context = Context::full(&runtime).map_err(engine)?;
        context.with(|ctx| {
            [SURROUNDINGS].into_iter().chain(CHARTS.into_iter().take(2)).chain([THEME]).try_for_each(|script| {
                ctx.eval::<(), _>(script).catch(&ctx).map_err(|error| DrawError::Engine(error.to_string()))
            })
        })?;
        Ok(Self { runtime, context })
    }

    /// Draws a chart on white paper.
    ///
    /// # Errors
    /// [`DrawError::Chart`].
    pub fn svg(&self, figure: &Figure) -> Result<String, DrawError> {
        let failed = |message: String| DrawError::Chart { name: figure.name.clone(), message };
        let begin = |ctx: Ctx<'_>| {
            let draw: Function<'_> =
                ctx.globals().get("hebbDraw").catch(&ctx).map_err(|error| failed(error.to_string()))?;
            draw.call::<_, ()>((figure.spec().to_string(),)).catch(&ctx).map_err(|error| failed(error.to_string()))
        };
        self.context.with(begin)?;
        // What the library left for later: drawing waits for it.
        loop {
            match self.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => return Err(failed("a step of the drawing failed".to_owned())),
            }
        }
        self.context.with(|ctx| {
            let text =
                |name: &str| ctx.globals().get::<_, Option<String>>(name).map_err(|error| failed(error.to_string()));
            match (text("hebbSvg")?, text("hebbError")?) {
                (Some(svg), None) => Ok(svg),
                (_, error) => Err(failed(error.unwrap_or_else(|| "the drawing never ended".to_owned()))),
            }
        })
    }
}
