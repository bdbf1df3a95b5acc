//! stub
pub mod onnx;
