package io.github.ddpm4j.springai;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.image.Image;
import org.springframework.ai.image.ImageGeneration;
import org.springframework.ai.image.ImageGenerationMetadata;
import org.springframework.ai.image.ImageMessage;
import org.springframework.ai.image.ImageModel;
import org.springframework.ai.image.ImageOptions;
import org.springframework.ai.image.ImagePrompt;
import org.springframework.ai.image.ImageResponse;

/**
 * Spring AI's {@link ImageModel} over a sampling service. The prompt is what {@link
 * Sampling#prompt} reads: the name of a class, or attributes.
 *
 * <pre>{@code
 * @Bean
 * ImageModel imageModel(SamplingService service) {
 *   return ServiceImageModel.of(service).build();
 * }
 * }</pre>
 *
 * <p>Of the options of a prompt, {@code n} is the number of images and {@code model} the name of a
 * model of the service. {@code width} and {@code height} must be those of the model where they are
 * there, {@code responseFormat} must be {@value #FORMAT}, and there is no {@code style}. Images are
 * PNG files in base64, which say how they were drawn, as does the {@link Provenance} of each.
 * Thread-safe; the service stays the caller's.
 */
public final class ServiceImageModel implements ImageModel {

  /** The images of a call unless another number is set: {@value}. */
  public static final int DEFAULT_MOST_IMAGES = 10;

  /** The only format of a response: {@value}. */
  public static final String FORMAT = "b64_json";

  private static final Start PROMPT =
      (sampling, prompt, count) -> sampling.prompt(prompt).start(count);

  private final SamplingService service;
  private final String model;
  private final UnaryOperator<Sampling> settings;
  private final Start start;
  private final UnaryOperator<SamplingRequest> requests;
  private final int mostImages;

  private ServiceImageModel(Builder builder) {
    service = builder.service;
    model = builder.model;
    settings = builder.settings;
    start = builder.start;
    requests = builder.requests;
    mostImages = builder.mostImages;
  }

  /**
   * How an image was drawn.
   *
   * @param words as {@link Samples#provenance} has them
   */
  public record Provenance(Map<String, String> words) implements ImageGenerationMetadata {

    /**
     * Takes words.
     *
     * @param words copied
     */
    public Provenance {
      words = Map.copyOf(words);
    }
  }

  /** Starts what a prompt asks for. */
  @FunctionalInterface
  public interface Start {

    /**
     * Starts a run.
     *
     * @param sampling of the service's model, with {@link Builder#settings}
     * @param prompt what to draw
     * @param count the number of images, at least 1
     * @return the run, which belongs to the service
     */
    SamplingRun of(Sampling sampling, String prompt, int count);
  }

  /**
   * Sets up a model.
   *
   * @param service what draws; it stays the caller's
   * @return a builder
   */
  public static Builder of(SamplingService service) {
    return new Builder(service);
  }

  /**
   * Draws images.
   *
   * @param prompt what to draw, in one message
   * @return the images
   * @throws IllegalArgumentException if the prompt asks for what the model has not
   * @throws java.util.concurrent.RejectedExecutionException if the service refuses the request
   * @throws CancellationException if the thread is interrupted, whose flag stays set, or the
   *     service is closed
   * @throws IllegalStateException if the network fails, or past a deadline of {@link
   *     Builder#requests}
   */
  @Override
  public ImageResponse call(ImagePrompt prompt) {
    String words = words(prompt);
    ImageOptions options = prompt.getOptions();
    Integer asked = options == null ? null : options.getN();
    int count = asked == null ? 1 : asked;
    if (count < 1 || count > mostImages) {
      throw new IllegalArgumentException(
          "n must lie in [1, " + mostImages + "], but was " + count + "; set mostImages(n)");
    }
    String other = options == null ? null : options.getModel();
    String name = other == null ? model : other;
    if (options != null) {
      requireKnown(options);
      requireSize(options, service.models().get(name));
    }
    SamplingRequest request =
        requests.apply(
            SamplingRequest.starting(s -> start.of(settings.apply(s), words, count)).model(name));
    try (Samples drawn = service.submit(request).await()) {
      List<ImageGeneration> images = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        String png = Base64.getEncoder().encodeToString(png(drawn, i));
        images.add(new ImageGeneration(new Image(null, png), new Provenance(drawn.provenance(i))));
      }
      return new ImageResponse(images);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      CancellationException cancelled =
          new CancellationException("the thread was interrupted while it waited for images");
      cancelled.initCause(e);
      throw cancelled;
    } catch (TimeoutException e) {
      throw new IllegalStateException(e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String words(ImagePrompt prompt) {
    List<ImageMessage> messages = prompt.getInstructions();
    if (messages.size() != 1 || !messages.get(0).getMedia().isEmpty()) {
      throw new IllegalArgumentException(
          "a prompt must be one message without media, but was " + messages);
    }
    Float weight = messages.get(0).getWeight();
    if (weight != null && weight != 1) {
      throw new IllegalArgumentException(
          "the weight of a message must be 1, but was "
              + weight
              + "; set guidance by settings(s -> s.guidance(…))");
    }
    return Objects.requireNonNullElse(messages.get(0).getText(), "");
  }

  /** Refuses what would be left out in silence. */
  private static void requireKnown(ImageOptions options) {
    String format = options.getResponseFormat();
    if (format != null && !format.equals(FORMAT)) {
      throw new IllegalArgumentException(
          "responseFormat must be " + FORMAT + ", but was \"" + format + "\"");
    }
    if (options.getStyle() != null) {
      throw new IllegalArgumentException(
          "the models have no style, but it was \"" + options.getStyle() + "\"");
    }
  }

  private void requireSize(ImageOptions options, @Nullable DDPM from) {
    if (start != PROMPT) {
      requireUnset("height", options.getHeight());
      requireUnset("width", options.getWidth());
      return;
    }
    Optional<Shape> shape =
        Optional.ofNullable(from).flatMap(DDPM::denoiser).flatMap(network -> network.imageShape());
    if (shape.isPresent()) {
      requireSize("height", options.getHeight(), shape.get().get(1));
      requireSize("width", options.getWidth(), shape.get().get(2));
    }
  }

  private static void requireUnset(String what, @Nullable Integer asked) {
    if (asked != null) {
      throw new IllegalArgumentException(
          what + " is set by starting(…), but the options of the prompt say " + asked);
    }
  }

  private static void requireSize(String what, @Nullable Integer asked, long own) {
    if (asked != null && asked != own) {
      throw new IllegalArgumentException(
          what + " must be that of the model's images, " + own + ", but was " + asked);
    }
  }

  private static byte[] png(Samples drawn, int image) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    drawn.write(image, out);
    return out.toByteArray();
  }

  /** Sets up a model. */
  public static final class Builder {

    private final SamplingService service;
    private String model = SamplingService.DEFAULT_MODEL;
    private UnaryOperator<Sampling> settings = s -> s.sampler(Samplers.dpmSolverPlusPlus(20));
    private Start start = PROMPT;
    private UnaryOperator<SamplingRequest> requests = UnaryOperator.identity();
    private int mostImages = DEFAULT_MOST_IMAGES;

    private Builder(SamplingService service) {
      this.service = Objects.requireNonNull(service, "service");
    }

    /**
     * The model of the service to draw from, unless the options of a prompt name one.
     *
     * @param name {@value SamplingService#DEFAULT_MODEL} by default
     * @return this builder
     */
    public Builder model(String name) {
      model = Objects.requireNonNull(name, "name");
      return this;
    }

    /**
     * How images are drawn: sampler, guidance, seed and so on; the prompt comes after it.
     *
     * @param settings by default 20 steps of DPM-Solver++, and another seed in each call. Guidance
     *     needs a prompt in each call
     * @return this builder
     */
    public Builder settings(UnaryOperator<Sampling> settings) {
      this.settings = Objects.requireNonNull(settings, "settings");
      return this;
    }

    /**
     * How a prompt is drawn, for a model that reads it otherwise than {@link Sampling#prompt}, such
     * as a pipeline from text to image, whose {@code latentDiffusion().ddpm()} the service has:
     * {@code starting((sampling, prompt, count) -> text.prompt(prompt).start(count))}.
     *
     * @param start by default {@code sampling.prompt(prompt).start(count)}. Another one sets the
     *     size of the images, too, and options of a prompt may not. It is called once for each copy
     *     of the model
     * @return this builder
     */
    public Builder starting(Start start) {
      this.start = Objects.requireNonNull(start, "start");
      return this;
    }

    /**
     * What is asked of the service beside the images: tenant, deadline, priority.
     *
     * @param requests nothing by default
     * @return this builder
     */
    public Builder requests(UnaryOperator<SamplingRequest> requests) {
      this.requests = Objects.requireNonNull(requests, "requests");
      return this;
    }

    /**
     * The images of a call.
     *
     * @param most at least 1; {@value #DEFAULT_MOST_IMAGES} by default
     * @return this builder
     * @throws IllegalArgumentException if it is less
     */
    public Builder mostImages(int most) {
      if (most < 1) {
        throw new IllegalArgumentException("mostImages must be at least 1, but was " + most);
      }
      mostImages = most;
      return this;
    }

    /**
     * Makes the model.
     *
     * @return the model, which any number of threads may call
     */
    public ServiceImageModel build() {
      return new ServiceImageModel(this);
    }
  }
}
