package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.ParameterList;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.running.HeldReading;
import io.github.ddpm4j.unet.internal.running.Holding;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import java.io.IOException;
import java.util.Map;
import java.util.Objects;

/**
 * Brings the weights of a file into a network.
 *
 * @param table which of theirs are which of ours
 * @param source theirs, which the table accepted
 * @param from how messages name the file
 */
record Filling(NameTable table, TensorSource source, String from) {

  /**
   * Reads or maps the weights. Those that are to be held in 16 bits are rounded as soon as each is
   * read.
   *
   * @param network one of blank weights
   * @param options how they are to be held
   */
  void fill(TrainableDenoiser network, Pretrained.Options options) throws IOException {
    Holding holding = Holding.of(options.holding);
    if (options.mapped) {
      map(network);
      return;
    }
    if (holding == Holding.FLOAT32) {
      table.read(source, network.weights());
      return;
    }
    UNet unet = holdable(network, from);
    Map<String, Shape> shapes = unet.config().weightShapes();
    ParameterList parameters = unet.getDirectParameters();
    NDManager manager = parameters.get(0).getValue().getArray().getManager();
    try (GradMode off = GradMode.off();
        HeldReading reading = new HeldReading(manager, holding, shapes.values())) {
      shapes.keySet().forEach(name -> reading.clear(parameters.get(name)));
      table.read(
          source,
          name -> {
            Shape shape = Objects.requireNonNull(shapes.get(name), name);
            return holding.holds(shape) ? reading.target(shape) : parameters.get(name).getArray();
          },
          (name, weight) -> {
            if (holding.holds(Objects.requireNonNull(shapes.get(name), name))) {
              reading.put(parameters.get(name), weight);
            }
          });
    }
    unet.hold(options.holding);
  }

  /** Maps what can be mapped, and reads the rest. */
  private void map(TrainableDenoiser network) throws IOException {
    if (!(network instanceof UNet unet)) {
      throw new IOException(
          from + " is no U-Net, whose weights alone are mapped: leave out mapped()");
    }
    Map<String, Shape> shapes = unet.config().weightShapes();
    Map<String, NDArray> own = unet.weights();
    NDManager manager = own.values().iterator().next().getManager();
    Map<String, MappedTensor> mapped =
        table.map(
            source,
            name -> Objects.requireNonNull(shapes.get(name), name).dimension() > 1,
            manager);
    table.without(mapped.keySet()).read(source, own);
    MappedWeights.tell(from, mapped.values(), shapes.values());
    MappedWeights.put(unet, mapped);
  }

  static UNet holdable(TrainableDenoiser network, String from) throws IOException {
    if (network instanceof UNet unet) {
      return unet;
    }
    throw new IOException(
        from + " is no U-Net, whose weights alone are held in 16 bits: leave out hold(...)");
  }
}
