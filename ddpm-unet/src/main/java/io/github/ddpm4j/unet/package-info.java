/**
 * The U-Net of Ho et al. 2020, and those of later libraries as variations of it.
 *
 * <p>Users need {@link io.github.ddpm4j.unet.UNet}, {@link io.github.ddpm4j.unet.UNetBuilder},
 * {@link io.github.ddpm4j.unet.UNetConfig} and, for networks of other libraries, {@link
 * io.github.ddpm4j.unet.UNetLayout} and {@link io.github.ddpm4j.unet.PublishedUNet}. The files of
 * the package, for readers of the source:
 *
 * <ul>
 *   <li>The architecture: {@code UNetConfig} and {@code UNetLayout}, the validation of their
 *       options ({@code OptionChecks}, {@code LayoutChecks}), their description for model files
 *       ({@code ConfigDescription}, {@code LayoutDescription}), and the channels of each level that
 *       follow from them ({@code LevelWidths}).
 *   <li>The network, written once against {@link io.github.ddpm4j.spi.Ops}: {@code Network} and its
 *       parts {@code ResidualBlock}, {@code AttentionBlock}, {@code TimeEmbedding}, {@code
 *       ConditionEmbedding}, {@code Downsample} and {@code Upsample} (each a {@code Resampler}),
 *       over the layers that have weights ({@code ConvLayer}, {@code LinearLayer}, {@code
 *       NormLayer}, {@code EmbeddingTable}). Blocks and layers that autoencoders have too lie in
 *       {@code internal.layers}; {@code LayerStyles} says how an architecture wants them.
 *   <li>Running it: {@code NetworkRunner} as its {@code RunMode} says, {@code NetworkProgram}
 *       compiled, {@code TorchScriptExport} into a file, {@code NetworkSummary} over shapes alone
 *       ({@code CountingOps}).
 *   <li>What goes in: {@code BlockInputs} from DJL, {@code ConditionInputs} from a condition.
 *   <li>Its life cycle: {@code UNetBlock} holds the weights, {@code FirstWeights} initializes them,
 *       and {@code Usage} controls access to them; with {@code RunMode} they lie in {@code
 *       internal.running}.
 * </ul>
 */
@NullMarked
package io.github.ddpm4j.unet;

import org.jspecify.annotations.NullMarked;
