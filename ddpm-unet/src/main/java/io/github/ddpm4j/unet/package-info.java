/**
 * The U-Net of Ho et al. 2020.
 *
 * <p>Users need {@link io.github.ddpm4j.unet.UNet}, {@link io.github.ddpm4j.unet.UNetBuilder} and
 * {@link io.github.ddpm4j.unet.UNetConfig}. The files of the package, for readers of the source:
 *
 * <ul>
 *   <li>The architecture: {@code UNetConfig}, the validation of its options ({@code OptionChecks}),
 *       and its description for model files ({@code ConfigDescription}).
 *   <li>The network, written once against {@link io.github.ddpm4j.spi.Ops}: {@code Network} and its
 *       parts {@code ResidualBlock}, {@code AttentionBlock}, {@code TimeEmbedding}, {@code
 *       ConditionEmbedding}, {@code Downsample} and {@code Upsample}, over the layers that have
 *       weights ({@code ConvLayer}, {@code LinearLayer}, {@code NormLayer}, {@code
 *       EmbeddingTable}).
 *   <li>Running it: {@code NetworkRunner} as its {@code RunMode} says, {@code NetworkProgram}
 *       compiled, {@code TorchScriptExport} into a file, {@code NetworkSummary} over shapes alone
 *       ({@code CountingOps}).
 *   <li>What goes in: {@code BlockInputs} from DJL, {@code ConditionInputs} from a condition.
 *   <li>Its life cycle: {@code UNetBlock} holds the weights, {@code FirstWeights} initializes them,
 *       and {@code Usage} controls access to them.
 * </ul>
 */
@NullMarked
package io.github.ddpm4j.unet;

import org.jspecify.annotations.NullMarked;
