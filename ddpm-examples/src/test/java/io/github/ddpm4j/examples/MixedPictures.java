package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import com.sun.management.OperatingSystemMXBean;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.data.PictureFolder.BrokenFile;
import io.github.ddpm4j.data.PictureFolder.Fit;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.unet.UNet;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;

/**
 * A folder as people have them: two classes of pictures of 17x31 to 900x700 and of all kinds, five
 * of them broken. The main trains on 300 of them in a process that it kills, goes on, draws by
 * class, lists what is broken, and then says what the pictures cost a step beside the same data in
 * memory, by turns:
 *
 * <pre>
 *   mvn -q -pl ddpm-examples -am test-compile exec:java -Dexec.classpathScope=test \
 *       -Dexec.mainClass=io.github.ddpm4j.examples.MixedPictures
 * </pre>
 */
final class MixedPictures {

  private static final Shape IMAGE = new Shape(3, 32, 32);
  private static final int BATCH = 16;
  private static final int CHANNELS = 8;
  private static final int STEPS = 60;
  private static final int TURNS = 6;
  private static final int STEPS_OF_A_TURN = 30;
  private static final int FIRST_STEPS = 10;
  private static final List<String> CLASSES = List.of("discs", "squares");

  private MixedPictures() {}

  /**
   * Makes the folder.
   *
   * @return the broken files
   */
  static List<Path> make(Path folder, int count) throws IOException {
    Random random = new Random(1);
    List<Path> good = new ArrayList<>();
    for (String name : CLASSES) {
      Files.createDirectories(folder.resolve(name));
    }
    for (int i = 0; i < count - 8; i++) {
      int height = i == 0 ? 17 : i == 1 ? 900 : 17 + random.nextInt(i % 10 == 0 ? 884 : 200);
      int width = i == 0 ? 31 : i == 1 ? 700 : 31 + random.nextInt(i % 10 == 0 ? 670 : 200);
      String ending = List.of("png", "jpg", "gif", "bmp", "tif").get(i % 5);
      boolean rich = ending.equals("png") || ending.equals("tif");
      int kind = rich ? i / 5 % 6 : ending.equals("gif") ? 5 : i / 5 % 2;
      Path file = folder.resolve(CLASSES.get(i % 2)).resolve(i + "." + ending);
      if (!ImageIO.write(picture(height, width, i % 2 == 0, kind, random), ending, file.toFile())) {
        throw new IOException("no writer for " + file);
      }
      good.add(file);
    }
    Path kept =
        Stream.of("ddpm-data", "../ddpm-data")
            .map(Path::of)
            .filter(Files::exists)
            .findAny()
            .orElseThrow();
    kept = kept.resolve("src/test/resources/io/github/ddpm4j/data");
    for (String name : List.of("rgba.webp", "lossy.webp", "cmyk.jpg")) {
      Files.copy(kept.resolve(name), folder.resolve(CLASSES.get(0)).resolve(name));
    }
    List<Path> broken = new ArrayList<>();
    broken.add(Files.write(folder.resolve("discs/empty.png"), new byte[0]));
    broken.add(Files.writeString(folder.resolve("squares/text.jpg"), "no picture"));
    for (int i = 0; i < 3; i++) {
      byte[] whole = Files.readAllBytes(good.get(i));
      Path cut = good.get(i).resolveSibling("cut-" + good.get(i).getFileName());
      broken.add(Files.write(cut, Arrays.copyOf(whole, whole.length / 2)));
    }
    return broken;
  }

  /** RGB, grey, RGBA, 16 bits of RGB, 16 bits of grey, a palette with a transparent colour. */
  private static BufferedImage picture(
      int height, int width, boolean disc, int kind, Random random) {
    BufferedImage picture =
        switch (kind) {
          case 0 -> new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
          case 1 -> new BufferedImage(width, height, BufferedImage.TYPE_BYTE_GRAY);
          case 2 -> new BufferedImage(width, height, BufferedImage.TYPE_4BYTE_ABGR);
          case 3 -> deep(width, height);
          case 4 -> new BufferedImage(width, height, BufferedImage.TYPE_USHORT_GRAY);
          default -> new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED, palette());
        };
    Graphics2D drawn = picture.createGraphics();
    drawn.setColor(new Color(random.nextInt(100), random.nextInt(100), random.nextInt(100)));
    drawn.fillRect(0, 0, width, height);
    drawn.setColor(
        new Color(155 + random.nextInt(100), 155 + random.nextInt(100), 155 + random.nextInt(100)));
    int side = Math.min(height, width) / 2;
    int left = (width - side) / 2;
    int top = (height - side) / 2;
    if (disc) {
      drawn.fillOval(left, top, side, side);
    } else {
      drawn.fillRect(left, top, side, side);
    }
    drawn.dispose();
    return picture;
  }

  private static BufferedImage deep(int width, int height) {
    ColorModel colors =
        new ComponentColorModel(
            ColorModel.getRGBdefault().getColorSpace(),
            false,
            false,
            ColorModel.OPAQUE,
            DataBuffer.TYPE_USHORT);
    return new BufferedImage(
        colors, colors.createCompatibleWritableRaster(width, height), false, null);
  }

  private static IndexColorModel palette() {
    byte[] levels = new byte[64];
    for (int i = 0; i < levels.length; i++) {
      levels[i] = (byte) (4 * i);
    }
    return new IndexColorModel(6, levels.length, levels, levels, levels, levels.length - 1);
  }

  static PictureFolder folder(Path pictures) throws IOException {
    return PictureFolder.builder(pictures, IMAGE)
        .setSampling(BATCH, true)
        .fit(Fit.RANDOM_CROP)
        .horizontalFlips()
        .build();
  }

  static UNet network(int channels) {
    return UNet.builder()
        .image(3, 32, 32)
        .baseChannels(channels)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .groups(2)
        .classes(CLASSES.size())
        .seed(1)
        .build();
  }

  /**
   * Trains, or goes on, with a checkpoint every few steps; draws four of each class; saves the
   * model.
   *
   * @return the broken files that the run has listed
   */
  static List<Path> train(Path pictures, Path out, int channels, int steps, Runnable eachStep)
      throws IOException {
    PictureFolder data = folder(pictures);
    try (DDPM ddpm =
        DDPM.builder().classNames(data.classNames()).denoiser(network(channels)).build()) {
      try (TrainedModel result =
              ddpm.training()
                  .steps(steps)
                  .conditionDropout(0.1)
                  .seed(1)
                  .checkpoints(Checkpoints.in(out.resolve("checkpoints")).everySteps(5))
                  .resume()
                  .listener(event -> eachStep.run())
                  .fit(data);
          Samples samples =
              result
                  .ddpm()
                  .sampling()
                  .sampler(Samplers.ddim(10))
                  .condition(Condition.labels(0, 0, 0, 0, 1, 1, 1, 1))
                  .seed(1)
                  .generate(8)) {
        samples.saveGrid(out.resolve("samples.png"));
        result.ddpm().save(out.resolve("model"));
      }
    }
    return data.brokenFiles().stream().map(BrokenFile::file).toList();
  }

  /**
   * Makes the pictures, kills a run, goes on, measures.
   *
   * @param args nothing; {@code measure} and pictures; or {@code train}, pictures and results, for
   *     the process that is killed
   */
  public static void main(String[] args) throws Exception {
    if (args.length == 2) {
      measure(Path.of(args[1]));
      return;
    }
    if (args.length > 0) {
      train(Path.of(args[1]), Path.of(args[2]), CHANNELS, STEPS, () -> {});
      return;
    }
    Path root = Files.createTempDirectory("mixed-pictures");
    Path pictures = root.resolve("pictures");
    Path out = Files.createDirectory(root.resolve("out"));
    List<Path> broken = make(pictures, 300);
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.awt.headless=true",
                "-cp",
                System.getProperty("java.class.path"),
                MixedPictures.class.getName(),
                "train",
                pictures.toString(),
                out.toString())
            .inheritIO()
            .start();
    while (child.isAlive() && checkpoints(out) < 3) {
      Thread.sleep(50);
    }
    child.destroyForcibly().waitFor();
    System.out.println("killed, with " + checkpoints(out) + " checkpoints");
    List<Path> listed = train(pictures, out, CHANNELS, STEPS, () -> {});
    System.out.println("samples: " + out.resolve("samples.png"));
    listed.forEach(file -> System.out.println("broken: " + file));
    if (!listed.stream().sorted().toList().equals(broken.stream().sorted().toList())) {
      throw new IllegalStateException("the broken files are " + broken);
    }
    measure(pictures);
  }

  private static long checkpoints(Path out) throws IOException {
    Path folder = out.resolve("checkpoints");
    if (!Files.exists(folder)) {
      return 0;
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).count();
    }
  }

  /** Both take the same steps of the same network; the pictures also crop and flip. */
  private static void measure(Path pictures) throws Exception {
    try (NDManager manager = NDManager.newBaseManager();
        DDPM ddpm = DDPM.builder().denoiser(network(32)).build()) {
      PictureFolder data = folder(pictures);
      long began = System.nanoTime();
      data.prepare();
      double listed = (System.nanoTime() - began) / 1e9;
      int epoch = Math.toIntExact((data.size() + BATCH - 1) / BATCH);
      double[] cold = times(ddpm, data, epoch, () -> {});
      ArrayDataset memory =
          new ArrayDataset.Builder()
              .setData(data.first(manager, Math.toIntExact(data.size())))
              .optLabels(manager.create(new long[Math.toIntExact(data.size())]))
              .setSampling(BATCH, true)
              .build();
      double[][] ratios = new double[2][TURNS];
      for (int turn = 0; turn < TURNS; turn++) {
        double[] ofPictures = turn(ddpm, data);
        double[] ofMemory = turn(ddpm, memory);
        for (int i = 0; i < 2; i++) {
          ratios[i][turn] = ofPictures[i] / ofMemory[i];
        }
        System.out.printf(
            Locale.ROOT,
            "a step with a warm cache %.1f ms, %.1f ms of processors; of data in memory %.1f ms,"
                + " %.1f ms%n",
            ofPictures[0],
            ofPictures[1],
            ofMemory[0],
            ofMemory[1]);
      }
      System.out.printf(
          Locale.ROOT,
          "%d pictures looked through in %.2f s; first epoch of %d steps %.2f s; a step with a warm"
              + " cache takes %.3f of that with data in memory, and %.3f of its processors' time%n",
          data.size(),
          listed,
          epoch,
          Arrays.stream(cold).sum() / 1e3,
          median(ratios[0]),
          median(ratios[1]));
    }
  }

  /** The median of the milliseconds of a step, and the mean of those of the processors. */
  private static double[] turn(DDPM ddpm, Dataset data) {
    long[] before = new long[1];
    double[] times = times(ddpm, data, STEPS_OF_A_TURN, () -> before[0] = processors());
    double all = (processors() - before[0]) / 1e6 / (STEPS_OF_A_TURN - FIRST_STEPS);
    return new double[] {median(Arrays.copyOfRange(times, FIRST_STEPS, times.length)), all};
  }

  private static long processors() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }

  /**
   * Milliseconds of each step.
   *
   * @param warm runs after the first steps
   */
  private static double[] times(DDPM ddpm, Dataset data, int steps, Runnable warm) {
    long[] at = new long[steps + 1];
    at[0] = System.nanoTime();
    ddpm.training()
        .batchSize(BATCH)
        .steps(steps)
        .seed(1)
        .listener(
            event -> {
              int step = Math.toIntExact(event.step());
              at[step] = System.nanoTime();
              if (step == FIRST_STEPS) {
                warm.run();
              }
            })
        .fit(data)
        .close();
    return IntStream.range(0, steps).mapToDouble(i -> (at[i + 1] - at[i]) / 1e6).toArray();
  }

  private static double median(double[] values) {
    double[] sorted = Arrays.stream(values).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
