package io.github.ddpm4j.examples.comparison;

import io.github.ddpm4j.sampling.NoiseSpacing;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.List;
import java.util.function.IntFunction;

/**
 * A sampler with its options, for any number of network calls.
 *
 * @param name what it goes by on the command line and in tables
 * @param calling the sampler for a number of calls; one less where it can't have that number
 */
public record Candidate(String name, IntFunction<Sampler> calling) {

  /**
   * What {@link #all} is best given: the last timesteps of a cosine schedule have less, the linear
   * schedule's have not.
   */
  public static final double USUAL_LAMBDA_MIN = -5.1;

  private static final double CHURN = 10;

  /**
   * The samplers of the library, each in the forms that are worth a row of a table.
   *
   * @param lambdaMin levels of less λ are left out where the spacing or the method would spend
   *     itself on them; −∞ leaves out none
   * @return the candidates
   */
  public static List<Candidate> all(double lambdaMin) {
    return List.of(
        new Candidate("ddpm", Samplers::ddpm),
        new Candidate("ddim", Samplers::ddim),
        new Candidate("ddim-eta1", calls -> Samplers.ddim(calls).eta(1)),
        new Candidate("dpm++2m", Samplers::dpmSolverPlusPlus),
        new Candidate(
            "dpm++2m-trailing",
            calls -> Samplers.dpmSolverPlusPlus(calls).spacing(TimestepSpacing.TRAILING)),
        new Candidate(
            "dpm++2m-karras",
            calls ->
                Samplers.dpmSolverPlusPlus(calls)
                    .spacing(NoiseSpacing.karras())
                    .lambdaMin(lambdaMin)),
        new Candidate(
            "dpm++2m-lambda",
            calls ->
                Samplers.dpmSolverPlusPlus(calls)
                    .spacing(NoiseSpacing.uniformLogSnr())
                    .lambdaMin(lambdaMin)),
        new Candidate("dpm++3m", calls -> Samplers.dpmSolverPlusPlus(calls).order(3)),
        new Candidate("dpm++2m-sde", calls -> Samplers.dpmSolverPlusPlus(calls).stochastic(true)),
        new Candidate(
            "dpm++2m-sde-karras",
            calls ->
                Samplers.dpmSolverPlusPlus(calls)
                    .stochastic(true)
                    .spacing(NoiseSpacing.karras())
                    .lambdaMin(lambdaMin)),
        new Candidate("dpm2", calls -> Samplers.dpmSolver(calls).lambdaMin(lambdaMin)),
        new Candidate("unipc2", Samplers::uniPc),
        new Candidate(
            "unipc2-karras",
            calls -> Samplers.uniPc(calls).spacing(NoiseSpacing.karras()).lambdaMin(lambdaMin)),
        new Candidate("unipc3", calls -> Samplers.uniPc(calls).order(3)),
        new Candidate("euler", Samplers::euler),
        new Candidate(
            "euler-karras",
            calls -> Samplers.euler(calls).spacing(NoiseSpacing.karras()).lambdaMin(lambdaMin)),
        new Candidate("euler-ancestral", Samplers::eulerAncestral),
        new Candidate("heun", calls -> Samplers.heun(stepsOfTwoCalls(calls)).lambdaMin(lambdaMin)),
        new Candidate(
            "heun-karras",
            calls ->
                Samplers.heun(stepsOfTwoCalls(calls))
                    .spacing(NoiseSpacing.karras())
                    .lambdaMin(lambdaMin)),
        new Candidate(
            "edm-churn",
            calls ->
                Samplers.edm(stepsOfTwoCalls(calls))
                    .churn(CHURN)
                    .spacing(NoiseSpacing.karras())
                    .lambdaMin(lambdaMin)),
        new Candidate("plms", calls -> Samplers.plms(Math.max(1, calls - 1))));
  }

  /** Two calls a step, but one in the last. */
  private static int stepsOfTwoCalls(int calls) {
    return (calls + 1) / 2;
  }
}
