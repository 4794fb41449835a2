package io.github.ddpm4j.web;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServedRequest;
import java.security.SecureRandom;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** The drawings that the server knows: those under way, and the latest that have ended. */
final class Drawings {

  static final int MOST = 64;

  /** What they may hold together, about: {@value} bytes. */
  static final long MOST_BYTES = 128L << 20;

  private static final int MOST_FRAMES = 50;
  private static final int JUMP = 5;
  private static final int JUMPS = 3;

  /** Others than these could be made to take any number of steps. */
  static final Map<String, String> SAMPLERS = samplers();

  private final SamplingService service;
  private final Map<String, LatentModel> latent;
  private final long mostBytes;
  private final SecureRandom random = new SecureRandom();
  private final Map<String, Drawing> all = new LinkedHashMap<>();

  Drawings(SamplingService service) {
    this(service, Map.of(), MOST_BYTES);
  }

  /**
   * No drawings yet.
   *
   * @param service what draws
   * @param latent those of its models that draw latents, by their names
   */
  Drawings(SamplingService service, Map<String, LatentModel> latent, long mostBytes) {
    this.service = service;
    this.latent = Map.copyOf(latent);
    this.mostBytes = mostBytes;
  }

  /** The models of the service, as the page sees them. */
  Map<String, PageModel> models() {
    Map<String, PageModel> models = new LinkedHashMap<>();
    service
        .models()
        .forEach(
            (name, ddpm) -> {
              PageModel pipeline = latent.get(name);
              models.put(name, pipeline == null ? new PixelModel(ddpm) : pipeline);
            });
    return models;
  }

  private static Map<String, String> samplers() {
    Map<String, String> names = new LinkedHashMap<>();
    names.put("dpm++2m", "DPM-Solver++ (few steps)");
    names.put("unipc", "UniPC (few steps)");
    names.put("ddim", "DDIM (always the same way)");
    names.put("ddpm", "DDPM (many steps)");
    names.put("euler-a", "Euler (with fresh noise)");
    return Collections.unmodifiableMap(names);
  }

  /**
   * A drawing by its name.
   *
   * @throws RefusalException if it is unknown, or forgotten
   */
  synchronized Drawing get(String id) {
    Drawing known = all.get(id);
    if (known == null) {
      throw new RefusalException(404, "there is no such drawing, or it was forgotten");
    }
    return known;
  }

  /**
   * Begins a drawing.
   *
   * @throws RefusalException if it cannot be
   */
  Drawing begin(DrawRequest asked, String client) throws InterruptedException {
    Map<String, PageModel> models = models();
    PageModel model = models.get(asked.model());
    if (model == null) {
      throw new RefusalException(400, "there is no such model, but there are " + models.keySet());
    }
    Sampler sampler = sampler(asked);
    NDManager arrays = NDManager.newBaseManager();
    boolean begun = false;
    try {
      int steps = sampler.plan(model.ddpm().model().diffusion()).steps().size();
      SamplingRequest request =
          SamplingRequest.starting(start(model, asked, sampler, arrays))
              .model(asked.model())
              .tenant(client)
              .deadline(model.patience())
              .previews((steps + MOST_FRAMES - 1) / MOST_FRAMES);
      ServedRequest served = service.submit(request);
      Drawing drawing =
          new Drawing(newId(), asked.model(), model, asked.count(), served, arrays, this::trim);
      begun = true;
      add(drawing);
      return drawing;
    } catch (RequestRefusedException e) {
      throw new RefusalException(503, "there is too much to draw just now: " + e.getMessage());
    } catch (IllegalArgumentException | IllegalStateException e) {
      throw new RefusalException(400, String.valueOf(e.getMessage()));
    } finally {
      if (!begun) {
        arrays.close();
      }
    }
  }

  private Function<Sampling, SamplingRun> start(
      PageModel model, DrawRequest asked, Sampler sampler, NDManager arrays) {
    DrawRequest.Hole hole = asked.hole();
    if (hole == null) {
      return s -> model.start(s, asked, sampler);
    }
    Shape shape = model.shape();
    Drawing from = get(hole.drawing());
    Drawing.Drawn picture =
        from.picture(hole.picture())
            .orElseThrow(() -> new RefusalException(404, "there is no such picture"));
    if (!from.model().equals(asked.model())) {
      throw new RefusalException(400, "a picture is filled in by the model that drew it");
    }
    float[] known = hole.kept(Math.toIntExact(shape.get(1) * shape.get(2)));
    return s -> {
      float[] within = within(model.range(), picture.values(), Math.toIntExact(shape.get(0)));
      return model.startFilling(s, asked, sampler, within, known, arrays);
    };
  }

  /** What a model drew may lie a little beyond the range that files of pictures are cut to. */
  private static float[] within(DataRange range, float[] values, int channels) {
    float[] cut = new float[values.length];
    int size = values.length / channels;
    for (int c = 0; c < channels; c++) {
      float least = (float) range.channel(c).min();
      float most = (float) range.channel(c).max();
      for (int i = c * size; i < (c + 1) * size; i++) {
        cut[i] = Math.min(most, Math.max(least, values[i]));
      }
    }
    return cut;
  }

  /** What is filled in fits its surroundings better if steps are taken again. */
  private static Sampler sampler(DrawRequest asked) {
    if (!SAMPLERS.containsKey(asked.sampler())) {
      throw new RefusalException(400, "sampler must be one of " + SAMPLERS.keySet());
    }
    Sampler plain = Samplers.parse(asked.sampler(), asked.steps());
    boolean again =
        asked.hole() != null && asked.sampler().startsWith("dd") && asked.steps() >= 4 * JUMP;
    return again ? Samplers.resampling(plain, JUMP, JUMPS) : plain;
  }

  private String newId() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /** Forgets the oldest of those that have ended. */
  private synchronized void add(Drawing drawing) {
    all.put(drawing.id(), drawing);
    Iterator<Drawing> oldest = all.values().iterator();
    while (all.size() > MOST && oldest.hasNext()) {
      if (oldest.next().hasEnded()) {
        oldest.remove();
      }
    }
    trim(); // it may have grown before it was known
  }

  /**
   * Holds no more than it may: forgets the steps of the oldest that have ended, then those of the
   * ones under way (who watches has heard of most), and then the oldest with their pictures. The
   * latest keeps its pictures.
   */
  synchronized void trim() {
    long bytes = all.values().stream().mapToLong(Drawing::bytes).sum();
    for (boolean ended : new boolean[] {true, false}) {
      Iterator<Drawing> oldest = all.values().iterator();
      while (bytes > mostBytes && oldest.hasNext()) {
        Drawing drawing = oldest.next();
        if (drawing.hasEnded() == ended) {
          bytes -= drawing.dropSteps();
        }
      }
    }
    Iterator<Drawing> oldest = all.values().iterator();
    while (bytes > mostBytes && oldest.hasNext()) {
      Drawing drawing = oldest.next();
      if (drawing.hasEnded() && oldest.hasNext()) {
        bytes -= drawing.bytes();
        oldest.remove();
      }
    }
  }
}
