package io.github.ddpm4j.internal.checkpoint;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.average.PowerFit;
import io.github.ddpm4j.internal.average.PowerProfile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.ModelDescription;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.torch.Machine;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Averages of two power functions, stored now and then while a run goes on, and the average of any
 * other width that is worked out of them.
 */
public final class AverageSnapshots {

  /** σ_rel of the averages that are kept; γ = 16.97 and 6.94. */
  public static final List<Double> WIDTHS = List.of(0.05, 0.10);

  /** The greatest error of a profile that is put together: {@value}. */
  public static final double MOST_ERROR = 0.1;

  private static final String FORMAT = "format";
  private static final String VERSION = "version";
  private static final String RUN = "run";
  private static final String OWN_FORMAT = "ddpm4j-averages";
  private static final long OWN_VERSION = 1;

  private static final Logger logger = LoggerFactory.getLogger(AverageSnapshots.class);

  private AverageSnapshots() {}

  /**
   * The name of an average.
   *
   * @param width which of {@link #WIDTHS}
   * @param weight the name of the weight
   * @return its name in checkpoints and snapshots
   */
  public static String name(double width, String weight) {
    return "powerFunction/" + width + "/" + weight;
  }

  /**
   * A snapshot.
   *
   * @param run what the run is, the same text in all of its snapshots
   * @param model the description of its model
   * @param averages float32 arrays on the CPU under their {@link #name}
   * @return what a file is to hold
   */
  public static CheckpointFile.Contents snapshot(
      String run, Map<String, Object> model, Map<String, NDArray> averages) {
    Map<String, Object> description = new LinkedHashMap<>();
    description.put(FORMAT, OWN_FORMAT);
    description.put(VERSION, OWN_VERSION);
    description.put(RUN, run);
    description.put(CheckpointModel.MODEL, model);
    return new CheckpointFile.Contents(description, averages);
  }

  /**
   * The run that wrote a snapshot.
   *
   * @param file the snapshot
   * @return what {@link #snapshot} was told
   * @throws IOException if reading fails, or it is no snapshot
   */
  public static String run(Path file) throws IOException {
    return run(file, CheckpointFile.description(file));
  }

  private static String run(Path file, Map<String, Object> description) throws IOException {
    if (!OWN_FORMAT.equals(description.get(FORMAT))
        || !Long.valueOf(OWN_VERSION).equals(description.get(VERSION))) {
      throw new IOException(
          file
              + " must have format "
              + OWN_FORMAT
              + " and version "
              + OWN_VERSION
              + ", but has "
              + Quote.of(description.get(FORMAT))
              + " and "
              + Quote.of(description.get(VERSION))
              + "; choose a folder that postHocEma(…) wrote to, with the version of ddpm4j that"
              + " did");
    }
    return String.valueOf(description.get(RUN));
  }

  /**
   * Works out an average over all steps up to the newest snapshot.
   *
   * @param folder the folder of the snapshots
   * @param width σ_rel
   * @param device where to put the weights
   * @return the model; the caller closes its denoiser
   * @throws IllegalArgumentException if the width is out of range, or too far from what the
   *     snapshots are of
   * @throws NoSuchFileException if there are none
   * @throws IOException if reading fails, or a file is damaged or of another run
   */
  public static ModelFolder.Contents read(Path folder, double width, Device device)
      throws IOException {
    PowerProfile.gammaOf(width);
    List<Entry> entries = new CheckpointFolder(folder).entries();
    if (entries.isEmpty()) {
      throw new NoSuchFileException(
          folder.toString(), null, "it has no snapshots; train with postHocEma(…) first");
    }
    long end = entries.get(0).step();
    List<PowerProfile> tracked = new ArrayList<>();
    for (Entry entry : entries) {
      for (double own : WIDTHS) {
        tracked.add(PowerProfile.of(own, (double) entry.step()));
      }
    }
    PowerFit fit = PowerFit.of(PowerProfile.of(width, (double) end), tracked);
    if (fit.error() > MOST_ERROR) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the average of width %s differs by %.2f of its profile from what %d snapshots of %s"
                  + " can give, more than %s; choose a width nearer to %s, or store more snapshots"
                  + " in a run",
              width,
              fit.error(),
              entries.size(),
              folder,
              MOST_ERROR,
              WIDTHS));
    }
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      Map<String, NDArray> sums = new TreeMap<>();
      @Nullable Map<String, Object> newest = null;
      for (int i = 0; i < entries.size(); i++) {
        Entry entry = entries.get(i);
        entry.requireWhole();
        try (NDManager own = manager.newSubManager()) {
          CheckpointFile.Contents contents = CheckpointFile.read(entry.file(), own);
          String run = run(entry.file(), contents.description());
          newest = newest == null ? contents.description() : newest;
          requireSameRun(entry, run, String.valueOf(newest.get(RUN)));
          for (int k = 0; k < WIDTHS.size(); k++) {
            add(
                manager,
                sums,
                fit.coefficients()[i * WIDTHS.size() + k],
                name(WIDTHS.get(k), ""),
                contents.tensors());
          }
        } catch (IllegalArgumentException e) {
          throw new IOException(entry.file() + " is not valid: " + e.getMessage(), e);
        }
      }
      logger.info(
          "the average of width {} over {} steps, of {} snapshots, has a profile within {} of it",
          width,
          end,
          entries.size(),
          fit.error());
      return model(Objects.requireNonNull(newest, "newest"), folder, width, fit, sums, device);
    }
  }

  private static void requireSameRun(Entry entry, String run, String newest) throws IOException {
    if (!run.equals(newest)) {
      throw new IOException(
          entry.file()
              + " is of another run ("
              + run
              + ") than the newest snapshot ("
              + newest
              + "); move it away");
    }
  }

  /** Adds coefficient times average, in double. */
  private static void add(
      NDManager owner,
      Map<String, NDArray> sums,
      double coefficient,
      String prefix,
      Map<String, NDArray> tensors) {
    Map<String, NDArray> averages = new TreeMap<>();
    tensors.forEach(
        (name, tensor) -> {
          if (name.startsWith(prefix)) {
            averages.put(name.substring(prefix.length()), tensor);
          }
        });
    if (!sums.isEmpty() && !sums.keySet().equals(averages.keySet())) {
      throw new IllegalArgumentException(
          "it has averages of other weights than the newest snapshot");
    }
    averages.forEach(
        (name, average) -> {
          NDArray share = average.toType(DataType.FLOAT64, true).muli(coefficient);
          NDArray sum = sums.get(name);
          if (sum == null) {
            share.attach(owner);
            sums.put(name, share);
          } else {
            sum.addi(share);
          }
        });
  }

  private static ModelFolder.Contents model(
      Map<String, Object> newest,
      Path folder,
      double width,
      PowerFit fit,
      Map<String, NDArray> sums,
      Device device)
      throws IOException {
    try {
      Map<String, Object> model =
          new LinkedHashMap<>(Description.of("the snapshot", newest).object(CheckpointModel.MODEL));
      Map<String, Object> training =
          new LinkedHashMap<>(Description.of("the model", model).object("training"));
      training.put("ema", "power function of width " + width + " after the fact");
      training.put("errorOfEma", fit.error());
      model.put("training", training);
      return ModelDescription.of(
          model,
          device,
          weights ->
              weights.forEach(
                  (name, weight) -> {
                    NDArray sum = sums.get(name);
                    if (sum == null || !sum.getShape().equals(weight.getShape())) {
                      throw new IllegalArgumentException(
                          "the average of "
                              + name
                              + " is missing, or has another shape than the weight");
                    }
                    NDArray narrow = sum.toType(weight.getDataType(), false);
                    weight.set(new NDIndex("..."), narrow.toDevice(weight.getDevice(), false));
                  }));
    } catch (IllegalArgumentException e) {
      throw new IOException("the snapshots of " + folder + " are not valid: " + e.getMessage(), e);
    }
  }
}
