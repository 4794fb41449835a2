package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Where in a file the weights of a network are: checkpoints have them below names of their own, and
 * often twice, as they are and averaged.
 *
 * @param family the library; null for diffusers, whose networks have a configuration
 * @param prefix what the names begin with, with a dot at its end; or empty
 */
record WeightsFile(@Nullable PeerFamily family, String prefix) {

  private static final List<PeerFamily> FAMILIES =
      List.of(
          new OpenAi(), new Lucidrains(), new Labml(), new Edm(), new TeaPearce(), new PaperCode());

  /** Names of networks that are known and not loaded. */
  private static final List<String[]> OTHERS =
      List.of(
          new String[] {"all_modules.0.W", "NCSN++ of score_sde"},
          new String[] {"all_modules.0.weight", "NCSN++ of score_sde"},
          new String[] {"text_model.embeddings.token_embedding.weight", "a text encoder"},
          new String[] {"decoder.conv_in.weight", "an autoencoder"});

  /** Averages, by a word of their prefix. */
  private boolean isAveraged() {
    return Arrays.stream(prefix.split("\\.")).anyMatch(word -> word.startsWith("ema"));
  }

  /**
   * Finds the weights of a network.
   *
   * @param file the file, for messages
   * @param source what it holds
   * @param options what the caller says
   * @param given receives what was assumed
   */
  static WeightsFile find(Path file, TensorSource source, Pretrained.Options options, Given given)
      throws IOException {
    List<WeightsFile> all = new ArrayList<>();
    for (String name : source.tensors().keySet()) {
      for (PeerFamily family : FAMILIES) {
        add(all, name, family, family.signature());
      }
      add(all, name, null, Diffusers.SIGNATURE);
    }
    all.replaceAll(found -> found.family instanceof OpenAi ? openAi(source, found.prefix) : found);
    // Where averages are kept with a copy of what they are averages of, that is no second network.
    all.removeIf(found -> found.prefix.contains("online_model."));
    String wanted = options.prefix;
    if (wanted != null) {
      all.removeIf(found -> !found.prefix.equals(wanted));
    }
    if (all.isEmpty()) {
      throw none(file, source, wanted);
    }
    List<WeightsFile> averaged = all.stream().filter(WeightsFile::isAveraged).toList();
    List<WeightsFile> raw = all.stream().filter(found -> !found.isAveraged()).toList();
    List<WeightsFile> chosen = averaged.isEmpty() || options.raw ? raw : averaged;
    if (options.raw && raw.isEmpty()) {
      throw new IOException(file + " has no raw weights, only averages: call options().raw(false)");
    }
    if (chosen.size() > 1) {
      throw new IOException(
          file
              + " has several networks: call options().prefix(name) with one of "
              + chosen.stream()
                  .map(found -> "\"" + found.prefix + "\"")
                  .collect(Collectors.joining(", ")));
    }
    if (!averaged.isEmpty() && !raw.isEmpty() && wanted == null) {
      given.assume(
          (options.raw ? "the raw" : "the averaged")
              + " weights, of the two in the file, below \""
              + chosen.get(0).prefix
              + "\"");
    }
    return chosen.get(0);
  }

  /** Networks with a context have the same names, and more. */
  private static WeightsFile openAi(TensorSource source, String prefix) {
    boolean seesContext = CompVis.seesContext(source.under(prefix).tensors().keySet());
    return new WeightsFile(seesContext ? new CompVis() : new OpenAi(), prefix);
  }

  private static void add(
      List<WeightsFile> all, String name, @Nullable PeerFamily family, String signature) {
    if (name.endsWith(signature)) {
      String prefix = name.substring(0, name.length() - signature.length());
      if (prefix.isEmpty() || prefix.endsWith(".")) {
        all.add(new WeightsFile(family, prefix));
      }
    }
  }

  private static IOException none(Path file, TensorSource source, @Nullable String wanted) {
    for (String[] other : OTHERS) {
      if (source.tensors().keySet().stream().anyMatch(name -> name.endsWith(other[0]))) {
        return new IOException(file + " holds " + other[1] + ", which this version does not load");
      }
    }
    List<String> names = source.tensors().keySet().stream().limit(5).toList();
    return new IOException(
        file
            + " holds no network that is known"
            + (wanted == null ? "" : " below \"" + wanted + "\"")
            + "; known are those of the paper's authors, diffusers (UNet2DModel), latent and stable"
            + " diffusion (CompVis), guided-diffusion, improved-diffusion,"
            + " denoising-diffusion-pytorch 2.x, labml, EDM and Conditional"
            + " Diffusion MNIST; its "
            + source.tensors().size()
            + " tensors begin with "
            + names);
  }
}
