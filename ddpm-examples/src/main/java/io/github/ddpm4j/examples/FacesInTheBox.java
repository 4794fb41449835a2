package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Portraits that a model in the box draws by attributes, a row for each. */
final class FacesInTheBox {

  private static final int COLUMNS = 10;
  private static final int ENLARGE = 3;

  private static final List<String> ASKED =
      List.of(
          "hat=red", "glasses=dark", "hair=long, hair color=blue", "skin=brown, clothing=yellow");

  static final String CAPTION =
      "Faces that a model in the box draws. A row each for " + String.join("; ", ASKED) + ".";

  private FacesInTheBox() {}

  static Path draw(Path file, int calls) throws IOException {
    try (DDPM faces = Models.faces();
        NDManager manager = NDManager.newBaseManager()) {
      Attributes attributes = faces.attributes().orElseThrow();
      float[][] asked =
          IntStream.range(0, COLUMNS * ASKED.size())
              .mapToObj(i -> attributes.vector(ASKED.get(i / COLUMNS)))
              .toArray(float[][]::new);
      try (Samples drawn =
          faces
              .sampling()
              .sampler(Samplers.dpmSolverPlusPlus(Math.min(calls, 20)))
              .condition(Condition.vectors(manager.create(asked)))
              .guidance(Guidance.classifierFree(2))
              .seed(1)
              .generate(asked.length)) {
        Map<String, String> words = new LinkedHashMap<>(drawn.provenance(0));
        words.put("image", "0 to " + (asked.length - 1));
        words.put(Attributes.METADATA, String.join("; ", ASKED));
        Pictures all = Pictures.of(drawn.toNDArray(manager)).columns(COLUMNS).enlarge(ENLARGE);
        Pictures.write(all.toGrid(), file, words);
      }
    }
    System.out.println(file + ": faces that a model in the box draws.");
    return file;
  }
}
