/**
 * Models of other libraries: from their files to a model of ours, and back.
 *
 * <p>Users need {@link io.github.ddpm4j.pretrained.Pretrained} and the {@link
 * io.github.ddpm4j.pretrained.Audit} that it gives. The files of the package, for readers of the
 * source:
 *
 * <ul>
 *   <li>Name tables, which of our weights is which of theirs, one file for each library: {@code
 *       Diffusers}, {@code OpenAi}, {@code Lucidrains}, {@code Labml} and {@code Edm}, over {@code
 *       Place} and the {@code NameTable} and {@code Transform} of {@code unet.internal.peers}. A
 *       table is used in both directions.
 *   <li>Architectures: {@code UNet2D} reads and writes the configuration of diffusers; the other
 *       libraries have none, so their files tell the architecture by {@code PeerShapes}.
 *   <li>All else of a model ({@code Facts}): {@code SchedulerFile}, {@code SuggestedSampler},
 *       {@code TrainerBuffers}, {@code Published}, and what the caller says ({@code Given}).
 *   <li>The ways in and out: {@code Loading}, {@code WeightsFile}, {@code HubCache}, {@code
 *       DiffusersFolder}.
 * </ul>
 */
@NullMarked
package io.github.ddpm4j.pretrained;

import org.jspecify.annotations.NullMarked;
