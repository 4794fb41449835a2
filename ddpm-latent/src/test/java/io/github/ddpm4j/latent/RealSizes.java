package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Draws with random weights of the sizes of Stable Diffusion 1.5 (859,520,964 + 83,653,863 +
 * 123,060,480 parameters) and prints times and the process's memory.
 *
 * <pre>
 * RealSizes write FOLDER [TYPE]   writes a folder of diffusers, FLOAT32 (4.27 GB) or BFLOAT16
 * RealSizes load FOLDER HOW       loads it, weights held in a precision, or MAPPED
 * RealSizes draw FOLDER HOW       loads it, draws 512x512 in 4 steps with guidance
 * </pre>
 */
final class RealSizes {

  private static final int BUFFER = 1 << 22;

  /** The most memory of its own that was seen, in millions of bytes. */
  private static volatile long ownPeak;

  private RealSizes() {}

  public static void main(String... args) throws IOException {
    Path folder = Path.of(args[1]);
    switch (args[0]) {
      case "write" -> write(folder, args.length > 2 ? DataType.valueOf(args[2]) : DataType.FLOAT32);
      case "load" -> load(folder, args[2]);
      default -> draw(folder, args[2]);
    }
  }

  /* ---------------- The folder ---------------- */

  static void write(Path folder, DataType type) throws IOException {
    Path fixture = PipelineFixture.DATA.resolve("sd1");
    for (String part : List.of("tokenizer", "scheduler", "unet", "vae", "text_encoder")) {
      Files.createDirectories(folder.resolve(part));
    }
    for (String file :
        List.of(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "tokenizer/vocab.json",
            "tokenizer/merges.txt",
            "tokenizer/special_tokens_map.json",
            "tokenizer/tokenizer_config.json")) {
      Files.copy(fixture.resolve(file), folder.resolve(file));
    }
    Files.writeString(
        folder.resolve("unet/config.json"),
        """
        {"_class_name": "UNet2DConditionModel", "cross_attention_dim": 768, "sample_size": 64}""");
    Files.writeString(
        folder.resolve("vae/config.json"),
        """
        {"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512],
         "layers_per_block": 2, "latent_channels": 4,
         "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
                              "DownEncoderBlock2D"],
         "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
                            "UpDecoderBlock2D"]}""");
    Files.writeString(
        folder.resolve("text_encoder/config.json"),
        """
        {"architectures": ["CLIPTextModel"], "hidden_size": 768, "intermediate_size": 3072,
         "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 49408}""");
    write(
        folder.resolve("unet/diffusion_pytorch_model.safetensors"),
        PublishedUNet.STABLE_DIFFUSION_1.config().weightShapes(),
        type);
    Map<String, Shape> autoencoder = new LinkedHashMap<>();
    new AutoencoderNetwork(AutoencoderConfig.stableDiffusion())
        .parameters()
        .forEach(spec -> autoencoder.put(spec.name(), spec.shape()));
    write(folder.resolve("vae/diffusion_pytorch_model.safetensors"), autoencoder, type);
    Map<String, Shape> text = new LinkedHashMap<>();
    new TextNetwork(TextConfig.stableDiffusion1())
        .parameters()
        .forEach(spec -> text.put(spec.name(), spec.shape()));
    write(folder.resolve("text_encoder/model.safetensors"), text, type);
  }

  /** Ones for the weights of norms, zeros for vectors, else uniform of variance 1 / inputs. */
  private static void write(Path file, Map<String, Shape> shapes, DataType type)
      throws IOException {
    boolean half = type == DataType.BFLOAT16;
    int width = half ? Short.BYTES : Float.BYTES;
    StringBuilder header = new StringBuilder("{");
    long at = 0;
    for (Map.Entry<String, Shape> entry : shapes.entrySet()) {
      long end = at + width * entry.getValue().size();
      header
          .append(at == 0 ? "" : ",")
          .append('"')
          .append(entry.getKey())
          .append("\":{\"dtype\":\"")
          .append(half ? "BF16" : "F32")
          .append("\",\"shape\":")
          .append(Arrays.toString(entry.getValue().getShape()))
          .append(",\"data_offsets\":[")
          .append(at)
          .append(',')
          .append(end)
          .append("]}");
      at = end;
    }
    header.append('}');
    // As safetensors has it, so that values lie at places where they can be mapped.
    header.append(" ".repeat((8 - header.length() % 8) % 8));
    byte[] words = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      OutputStream out = Channels.newOutputStream(channel);
      out.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(words.length).array());
      out.write(words);
      long state = 88172645463325252L;
      for (Map.Entry<String, Shape> entry : shapes.entrySet()) {
        Shape shape = entry.getValue();
        boolean vector = shape.dimension() < 2;
        double scale = vector ? 0 : Math.sqrt(12.0 * shape.get(0) / shape.size());
        float fixed = vector && entry.getKey().endsWith("weight") ? 1 : 0;
        for (long i = 0; i < shape.size(); i++) {
          state ^= state << 13;
          state ^= state >>> 7;
          state ^= state << 17;
          float value = (float) (fixed + scale * ((state >>> 40) * 0x1p-24 - 0.5));
          if (half) {
            buffer.putShort((short) (Float.floatToRawIntBits(value) >> 16));
          } else {
            buffer.putFloat(value);
          }
          if (!buffer.hasRemaining()) {
            flush(channel, buffer);
          }
        }
      }
      flush(channel, buffer);
    }
  }

  private static void flush(FileChannel channel, ByteBuffer buffer) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    buffer.clear();
  }

  /* ---------------- Drawing ---------------- */

  private static TextToImage loaded(Path folder, String how) throws IOException {
    TextToImage.Options options = TextToImage.options();
    return (how.equals("MAPPED") ? options.mapped() : options.hold(Precision.valueOf(how)))
        .load(folder);
  }

  private static void load(Path folder, String how) throws IOException {
    long start = System.nanoTime();
    try (TextToImage model = loaded(folder, how)) {
      say("loaded", start);
    }
    long again = System.nanoTime();
    try (TextToImage model = loaded(folder, how)) {
      say("loaded once more", again);
    }
  }

  private static void draw(Path folder, String how) throws IOException {
    long start = System.nanoTime();
    watch();
    try (TextToImage model = loaded(folder, how)) {
      say("loaded", start);
      long before = System.nanoTime();
      try (Samples samples =
          model
              .prompt("a photo of a cat")
              .guidance(7.5)
              .sampler(Samplers.ddim(4))
              .seed(42)
              .size(512, 512)
              .listener(event -> say("timestep " + event.timestep(), before))
              .generate(1)) {
        say("drawn", before);
        samples.save(0, folder.resolve("drawn-" + how + ".png"));
      }
    }
    System.out.println("peak " + megabytes("VmHWM:"));
  }

  /** Looks at the memory that is the process's own every now and then. */
  private static void watch() {
    Thread thread =
        new Thread(
            () -> {
              while (true) {
                ownPeak = Math.max(ownPeak, megabytes("RssAnon:"));
                try {
                  Thread.sleep(20);
                } catch (InterruptedException e) {
                  return;
                }
              }
            });
    thread.setDaemon(true);
    thread.start();
  }

  private static void say(String what, long start) {
    System.out.printf(
        Locale.ROOT,
        "%s after %.1f s, peak %d MB; now %d MB of its own (peak %d), %d MB of files%n",
        what,
        (System.nanoTime() - start) / 1e9,
        megabytes("VmHWM:"),
        megabytes("RssAnon:"),
        ownPeak,
        megabytes("RssFile:"));
  }

  /** A line of what the system says of this process, in millions of bytes. */
  private static long megabytes(String kind) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith(kind)) {
          return Long.parseLong(line.replaceAll("\\D+", "")) * 1024 / 1_000_000;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return 0;
  }
}
