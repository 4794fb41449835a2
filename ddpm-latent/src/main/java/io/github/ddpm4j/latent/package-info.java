/**
 * Latent diffusion (Rombach et al. 2021, "High-Resolution Image Synthesis with Latent Diffusion
 * Models"): what lies around a network that works on latents, from text to context and from pixels
 * to latents and back.
 *
 * <p>Tokenizers are plain Java. The binding of Hugging Face's own for the Deep Java Library would
 * add native code of 19 MB that is not there for every platform and a second engine, and reads
 * {@code tokenizer.json} alone, which the folders of these models do not have; made of their
 * vocabularies, it gives other numbers for CLIP.
 *
 * <p>The files of the package, for readers of the source:
 *
 * <ul>
 *   <li>Text to tokens: {@code Tokenizer}, read by {@code TokenizerFiles}, over {@code AddedTokens}
 *       and {@code WordPiece} or {@code BytePairs} (each {@code Subwords}), which share the rules
 *       of {@code BasicText}.
 *   <li>Tokens to context, pixels to latents: {@code TextEncoder} and {@code Autoencoder}, over
 *       networks with weights ({@code WeightedNetwork}).
 *   <li>Text to picture: {@code TextToImage} and {@code LatentDiffusion} load a {@code Pipeline} of
 *       these and the network of latents; a {@code Drawing} is a run of core's sampling, which
 *       {@code DrawingStarts} begins.
 *   <li>Pictures to a model: {@code AutoencoderTraining} takes {@code AutoencoderStep}s, a {@code
 *       LatentDataset} draws from {@code EncodedPictures}, and {@code LatentFolder} saves.
 * </ul>
 */
@NullMarked
package io.github.ddpm4j.latent;

import org.jspecify.annotations.NullMarked;
