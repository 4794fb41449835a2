package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.stream.IntStream;

/** What a run that goes on from a file must have as the run that was saved had it. */
enum RunDigest {
  PLAN("sampler, schedule or path of noise") {
    @Override
    void add(SamplingRun.Job job, Sink sink) {
      sink.add(job.plan().toString());
      if (job.noisePath()) {
        sink.add("one path of noise");
      }
    }
  },
  START("start: other images, mask or latents, or another use of them") {
    @Override
    void add(SamplingRun.Job job, Sink sink) {
      sink.add(job.origin().use());
      job.origin().given().forEach(sink::add);
    }
  },
  CONDITION("condition") {
    @Override
    void add(SamplingRun.Job job, Sink sink) {
      sink.add(job.condition());
    }
  },
  GUIDANCE("guidance") {
    @Override
    void add(SamplingRun.Job job, Sink sink) {
      sink.add(job.guidance().settings());
      job.guidance().conditions().forEach(sink::add);
      job.guidance().measurements().forEach(measurement -> sink.add(measurement.y()));
      job.guidance().secondModels().forEach(second -> sink.add(second.model()));
    }
  },
  SETTINGS("prediction, variance, data range, clipping, data type or image shape") {
    @Override
    void add(SamplingRun.Job job, Sink sink) {
      Diffusion model = job.model().diffusion();
      sink.add(model.prediction() + " " + model.variance() + " " + model.dataRange());
      sink.add(job.limit().name());
      NDArray one = job.origin().start().of(sink.scope, 0, 1);
      sink.add(one.getShape() + " " + one.getDataType());
    }
  };

  private final String text;

  RunDigest(String text) {
    this.text = text;
  }

  abstract void add(SamplingRun.Job job, Sink sink);

  /** What it is about. */
  String text() {
    return text;
  }

  /** The first 64 bits of the SHA-256 of it. */
  long of(SamplingRun.Job job, NDManager owner) {
    try (NDManager scope = owner.newSubManager()) {
      Sink sink = new Sink(scope, MessageDigest.getInstance("SHA-256"));
      add(job, sink);
      return ByteBuffer.wrap(sink.digest.digest()).getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("SHA-256 is part of every JDK", e);
    }
  }

  /** Takes in what is digested. */
  private record Sink(NDManager scope, MessageDigest digest) {

    void add(String text) {
      digest.update(text.getBytes(StandardCharsets.UTF_8));
      digest.update((byte) 0);
    }

    void add(NDArray array) {
      add(array.getShape() + " " + array.getDataType());
      // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
      try (NDArray view = array.reshape(array.getShape())) {
        view.attach(scope);
        digest.update(view.toByteBuffer());
      }
    }

    /** What it is, and its weights if it has any that can be saved. */
    void add(DenoisingModel model) {
      add(model.diffusion().toString());
      if (model.denoiser() instanceof TrainableDenoiser network) {
        Runnable end = network.beginReading();
        try (GradMode inference = GradMode.off()) {
          network
              .weights()
              .forEach(
                  (name, weight) -> {
                    add(name);
                    add(weight);
                  });
        } finally {
          end.run();
        }
      }
    }

    /** Every label and every value, and what is absent; a condition's own text shortens it. */
    void add(Condition condition) {
      int images = condition.size().orElse(0);
      add("condition of " + images);
      for (Kind kind : Kind.values()) {
        if (condition.has(kind)) {
          add(kind.name());
          for (int i = 0; i < images; i++) {
            int label = condition.label(i).orElse(Condition.ABSENT);
            add(kind == Kind.LABELS ? "" + label : "" + condition.isPresent(kind, i));
          }
          if (kind != Kind.LABELS) {
            add(present(condition, kind).array(kind, scope));
          }
          addDropped(condition.dropped(), kind);
        }
      }
    }

    /** What guidance finds where it asks without the condition, unless that is nothing. */
    private void addDropped(Condition dropped, Kind kind) {
      int[] images = imagesWith(dropped, kind);
      if (images.length > 0) {
        add("dropped " + Arrays.toString(images));
        if (kind == Kind.CONTEXTS) {
          add(present(dropped, kind).array(kind, scope));
        }
      }
    }

    /** Contexts have no array where one is absent. */
    private static Condition present(Condition condition, Kind kind) {
      int[] images = imagesWith(condition, kind);
      return kind == Kind.CONTEXTS && images.length > 0 ? condition.select(images) : condition;
    }

    private static int[] imagesWith(Condition condition, Kind kind) {
      return IntStream.range(0, condition.size().orElse(0))
          .filter(image -> condition.isPresent(kind, image))
          .toArray();
    }
  }
}
