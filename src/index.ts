// The one door: everything that users import.

export { accumulatedBias } from './analysis/accumulated_bias.ts';
export { type AccumulatedResidOptions, accumulatedResid } from './analysis/accumulated_resid.ts';
export {
  type ActivationPatchingOptions,
  activationPatching,
  type PatchingResult,
  type PatchKind,
} from './analysis/activation_patching.ts';
export { applyLnToStack, type StackLayer } from './analysis/apply_ln_to_stack.ts';
export { attentionOffsetScore, type MeanAttentionOptions, meanAttention } from './analysis/attention_score.ts';
export { type DecomposeResidOptions, decomposeResid } from './analysis/decompose_resid.ts';
export { type FullResidDecompositionOptions, getFullResidDecomposition } from './analysis/full_resid_decomposition.ts';
export {
  type DetectHeadOptions,
  detectHead,
  duplicateTokenScore,
  type HeadName,
  type HeadScoreOptions,
  inductionScore,
  previousTokenScore,
} from './analysis/head_detector.ts';
export { type AttributedTokens, type LogitAttrsOptions, logitAttrs } from './analysis/logit_attrs.ts';
export { type LensRow, type LogitLensOptions, logitLens } from './analysis/logit_lens.ts';
export { lossPerToken } from './analysis/loss.ts';
export { getNeuronResults, type StackNeuronResultsOptions, stackNeuronResults } from './analysis/neuron_results.ts';
export { type PathEnd, type PathPatchOptions, pathPatch } from './analysis/path_patch.ts';
export { ResidualStack, type RowSelection } from './analysis/residual_stack.ts';
export { type StackHeadResultsOptions, stackHeadResults } from './analysis/stack_head_results.ts';
export {
  type SweepMetric,
  type SweepOptions,
  type SweepProgress,
  type SweepResult,
  sweep,
} from './analysis/sweep.ts';
export { type TokenProbability, topTokens } from './analysis/top_tokens.ts';
export type { LoadProgress, OnProgress, RawConfig } from './engine/checkpoint.ts';
export type { ActivationFunction, ModelConfig, NormalizationType, WeightSpec } from './engine/config.ts';
export { type AdapterDescription, describeAdapter, type RequestDeviceOptions, requestDevice } from './engine/device.ts';
export { type CacheOption, clearDownloads } from './engine/file_store.ts';
export type { Answer, BuiltinErrors, Fingerprint, FingerprintProperties } from './engine/fingerprint/properties.ts';
export { adapterFingerprint } from './engine/fingerprint.ts';
export { KeyValueCache, type KeyValueCacheSize } from './engine/key_value_cache.ts';
export type { MemoryUse } from './engine/memory.ts';
export type { Plan, Step } from './engine/plan.ts';
export { type WritableTensor, writeSafetensors } from './engine/safetensors.ts';
export {
  type ByteSource,
  readSafetensors,
  SafetensorsFile,
  type SafetensorsTensor,
  type StoredTensor,
} from './engine/safetensors_reader.ts';
export { createSource, type Source, type SourceLocation, type SourceOptions } from './engine/source.ts';
export type { Product, TilingChoice, TilingOrigin, TilingRequest } from './engine/tilings.ts';
export type { TokenizeOptions, Tokenizer } from './engine/tokenizer.ts';
export type { TunedProduct } from './engine/tuner.ts';
export { ActivationCache, CachedValue, type ReadOptions } from './hooks/activation_cache.ts';
export type { GeneratedToken, GenerateOptions, GenerationStep } from './hooks/generate.ts';
export {
  add,
  clamp,
  type HookEntry,
  type HookedValue,
  type HookFunction,
  type Intervention,
  meanAblate,
  patchFrom,
  projectOut,
  round,
  scale,
  set,
  swapRows,
  type Values,
  wgsl,
  zeroAblate,
} from './hooks/interventions.ts';
export type { ResidualInput } from './hooks/layer_range.ts';
export { type LoadOptions, type ModelInMemory, readWeights } from './hooks/load.ts';
export { Model } from './hooks/model.ts';
export type { Hook, HookNames } from './hooks/names.ts';
export { type RoundedWeight, RoundedWeights } from './hooks/rounded_weights.ts';
export type {
  RunOptions,
  RunResult,
  RunWithCacheOptions,
  RunWithCacheResult,
  RunWithoutLogitsOptions,
  StopOptions,
  StoppedResult,
} from './hooks/run_options.ts';
export type { AxisSelection, Selection } from './hooks/selection.ts';
export type { Statistics } from './hooks/statistics.ts';
export type { ReadForms, Tensor } from './hooks/tensor.ts';
export type { TokenInput } from './hooks/tokens.ts';
export type { TuneOptions, TuneProgress } from './hooks/tune.ts';
export type { WeightNames } from './hooks/weights.ts';
export type { SamplingOptions } from './kernels/choose_token.ts';
export { type FloatingFormat, type NumberFormat, roundTo } from './kernels/formats.ts';
export type { Numerics } from './kernels/prelude.ts';
export type { TilingName } from './kernels/tiling.ts';
export { WEIGHT_FORMATS, type WeightFormat } from './kernels/weight_formats.ts';
export { type CompareOptions, type Comparison, compare, type ValueComparison } from './numerics/compare.ts';
export type { ElementDifference, ElementStatistics } from './numerics/compare_elements.ts';
export type { Interval } from './numerics/confidence.ts';
export { digestValues, type ValueDigest, type ValueDigests } from './numerics/digest.ts';
export type { Arithmetic } from './numerics/emulation/arithmetic.ts';
export { type EmulationOptions, emulateForward } from './numerics/emulation/forward.ts';
export { pairwise, reversed, segments, sequential } from './numerics/emulation/orders.ts';
export { stochasticRounding } from './numerics/emulation/stochastic_rounding.ts';
export { type ErrorFigures, errorFigures } from './numerics/error_figures.ts';
export { NUMERICS_FIGURES, type NumericsFigure, type NumericsMap, numericsMap } from './numerics/error_map.ts';
export type { Findings, PositionPrediction, Predictions } from './numerics/findings.ts';
export { fromBits, fromHexFloat, nextDown, nextUp, toBits, toHexFloat, ulp, ulpDistance } from './numerics/float32.ts';
export type { NamedValues, TensorInMemory } from './numerics/named_values.ts';
export type { CasePrediction, Measured, StudyErrors } from './numerics/precision_measures.ts';
export {
  type ArithmeticCase,
  type CaseResult,
  type PrecisionCase,
  type PrecisionStudy,
  type PrecisionStudyOptions,
  precisionStudy,
  type RoundedCase,
  type StudyProgress,
} from './numerics/precision_study.ts';
export type { BrokenValue, CaseSummary, KindErrors, PrecisionSummary } from './numerics/precision_summary.ts';
export type { PredictionErrors } from './numerics/prediction_errors.ts';
export {
  type FollowedToken,
  type PredictionFigures,
  predictionFigures,
  type TokenChange,
} from './numerics/prediction_figures.ts';
export { type ReferenceValue, referenceForward } from './numerics/reference.ts';
export {
  type InputToken,
  type NumericsOptions,
  type NumericsProgress,
  type NumericsReport,
  type NumericsValue,
  numericsReport,
} from './numerics/report.ts';
export type {
  BoundCheck,
  ElementCounts,
  ErrorPart,
  ErrorSize,
  ValueErrors,
  WorstPosition,
} from './numerics/value_errors.ts';
