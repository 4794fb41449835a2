package io.github.ddpm4j.modulepath;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Samples, and tries what needs further modules. It lies in a package that the library does not
 * have, since a package of the library would be looked for in the library's module alone.
 */
final class Server {

  private Server() {}

  public static void main(String[] args) throws IOException {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    out.println("module: " + DDPM.class.getModule().getName());
    out.println("java.desktop: " + ModuleLayer.boot().findModule("java.desktop").isPresent());
    DDPM ddpm =
        DDPM.builder().timesteps(10).denoiser((x, levels, condition) -> x.duplicate()).build();
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = ddpm.sampling().shape(1, 4, 4).seed(1).generate(2)) {
      NDArray x0 = manager.ones(new Shape(1, 1, 4, 4));
      NDArray noise = manager.zeros(x0.getShape());
      NDArray noised = ddpm.forwardProcess().sample(x0, new int[] {9}, noise);
      out.println(
          String.format(Locale.ROOT, "schedule: %.5f", Math.sqrt(ddpm.schedule().alphaBar(9))));
      out.println(String.format(Locale.ROOT, "forward process: %.5f", noised.getFloat(0, 0, 0, 0)));
      out.println("samples: " + samples.toNDArray(manager).getShape());
      try {
        samples.saveGrid(Path.of("samples.png"));
        out.println("pictures: written");
      } catch (NoClassDefFoundError e) {
        out.println("pictures: " + missing(e));
      }
    }
    try {
      FeatureStatistics one = FeatureStatistics.of(new double[][] {{1, 0}, {0, 1}, {2, 1}});
      out.println("Fréchet distance: " + Math.round(FrechetDistance.between(one, one)));
    } catch (NoClassDefFoundError e) {
      out.println("Fréchet distance: " + missing(e));
    }
  }

  /** Which class of a library is missed first is up to Java's verifier. */
  private static String missing(NoClassDefFoundError e) {
    String[] names = String.valueOf(e.getMessage()).split("/", -1);
    return "no class of " + names[0] + "." + names[1];
  }
}
