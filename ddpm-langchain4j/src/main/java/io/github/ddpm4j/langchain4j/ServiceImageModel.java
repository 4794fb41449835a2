package io.github.ddpm4j.langchain4j;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.model.image.ImageModel;
import dev.langchain4j.model.output.Response;
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
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;

/**
 * LangChain4j's {@link ImageModel} over a sampling service. The prompt is what {@link
 * Sampling#prompt} reads: the name of a class, or attributes.
 *
 * <pre>{@code
 * ImageModel model = ServiceImageModel.of(service).build();
 * Image bag = model.generate("Bag").content();
 * }</pre>
 *
 * <p>Images are PNG files in base64, which say how they were drawn. The metadata of a response have
 * that too, under {@value #PROVENANCE}: a list with a map for each image. Images are not edited:
 * {@link #edit} throws as the interface has it. Thread-safe; the service stays the caller's.
 */
public final class ServiceImageModel implements ImageModel {

  /** The images of a call unless another number is set: {@value}. */
  public static final int DEFAULT_MOST_IMAGES = 10;

  /** The name of the metadata of a response that say how its images were drawn: {@value}. */
  public static final String PROVENANCE = "provenance";

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
   * Draws an image.
   *
   * @param prompt what to draw
   * @return the image
   * @throws IllegalArgumentException if the model does not know what the prompt says
   * @throws java.util.concurrent.RejectedExecutionException if the service refuses the request
   * @throws CancellationException if the thread is interrupted, whose flag stays set, or the
   *     service is closed
   * @throws IllegalStateException if the network fails, or past a deadline of {@link
   *     Builder#requests}
   */
  @Override
  public Response<Image> generate(String prompt) {
    Response<List<Image>> one = generate(prompt, 1);
    return Response.from(one.content().get(0), null, null, one.metadata());
  }

  /**
   * Draws images.
   *
   * @param prompt what to draw
   * @param n the number of images, at least 1 and at most {@link Builder#mostImages}
   * @return the images
   * @throws IllegalArgumentException if {@code n} is out of its range, or the model does not know
   *     what the prompt says
   * @throws java.util.concurrent.RejectedExecutionException as {@link #generate(String)}
   * @throws CancellationException as {@link #generate(String)}
   * @throws IllegalStateException as {@link #generate(String)}
   */
  @Override
  public Response<List<Image>> generate(String prompt, int n) {
    Objects.requireNonNull(prompt, "prompt");
    if (n < 1 || n > mostImages) {
      throw new IllegalArgumentException(
          "n must lie in [1, " + mostImages + "], but was " + n + "; set mostImages(n)");
    }
    SamplingRequest request =
        requests.apply(
            SamplingRequest.starting(s -> start.of(settings.apply(s), prompt, n)).model(model));
    try (Samples drawn = service.submit(request).await()) {
      List<Image> images = new ArrayList<>();
      List<Map<String, String>> provenance = new ArrayList<>();
      for (int i = 0; i < n; i++) {
        images.add(
            Image.builder()
                .base64Data(Base64.getEncoder().encodeToString(png(drawn, i)))
                .mimeType("image/png")
                .build());
        provenance.add(drawn.provenance(i));
      }
      return Response.from(images, null, null, Map.of(PROVENANCE, provenance));
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
     * The model of the service to draw from.
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
     * @param start by default {@code sampling.prompt(prompt).start(count)}. It is called once for
     *     each copy of the model
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
