/**
 * The U-Net of Ho et al. 2020 as a DJL block and a denoiser of ddpm4j, and models of other
 * libraries.
 */
@SuppressWarnings("module") // the module that is exported to is compiled after this one
module io.github.ddpm4j.unet {
  requires transitive io.github.ddpm4j;
  requires static java.desktop; // for pictures as answers of a server
  requires java.net.http; // for models by name, which the core downloads
  requires org.slf4j;
  requires static org.jspecify;

  exports io.github.ddpm4j.pretrained;
  exports io.github.ddpm4j.serving;
  exports io.github.ddpm4j.unet;
  exports io.github.ddpm4j.unet.internal.layers to
      io.github.ddpm4j.latent;
  exports io.github.ddpm4j.unet.internal.peers to
      io.github.ddpm4j.latent;
  exports io.github.ddpm4j.unet.internal.running to
      io.github.ddpm4j.latent;

  provides io.github.ddpm4j.model.DenoiserProvider with
      io.github.ddpm4j.unet.internal.UNetProvider,
      io.github.ddpm4j.unet.internal.ContextUNetProvider;
}
