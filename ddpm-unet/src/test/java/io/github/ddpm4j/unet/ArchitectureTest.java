package io.github.ddpm4j.unet;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.unet.internal.ContextUNetProvider;
import io.github.ddpm4j.unet.internal.UNetProvider;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The network stands on the core's model and operations alone. */
class ArchitectureTest {

  private static final String ROOT = "io.github.ddpm4j";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT + ".unet", ROOT + ".pretrained", ROOT + ".serving");

  /** A rule over no classes passes: these must be there. */
  @Test
  void imported_areTheClassesOfTheNetwork() {
    assertThat(CLASSES.contain(UNet.class)).isTrue();
    assertThat(CLASSES.contain(ArchitectureTest.class)).isFalse();
    assertThat(CLASSES).hasSizeGreaterThan(15);
  }

  @Test
  void network_doesNotKnowTheFrontDoorTrainingAndSampling() {
    noClasses()
        .that()
        .resideInAPackage(ROOT + ".unet..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            ROOT,
            ROOT + ".training",
            ROOT + ".sampling",
            ROOT + ".schedule",
            ROOT + ".pretrained",
            ROOT + ".serving",
            ROOT + ".examples..")
        .check(CLASSES);
  }

  @Test
  void network_knowsNoEngine() {
    noClasses().should().dependOnClassesThat().resideInAPackage("ai.djl.pytorch..").check(CLASSES);
    noClasses().should().callMethod(Engine.class, "setRandomSeed", int.class).check(CLASSES);
  }

  @Test
  void output_goesThroughSlf4j() {
    GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CLASSES);
  }

  /** Blocks are details of the network, and so is what ServiceLoader finds. */
  @Test
  void exportedTypes_areThese() throws IOException, URISyntaxException {
    Set<String> exported = new TreeSet<>();
    for (ModuleDescriptor.Exports export : module().exports()) {
      boolean internal = export.source().contains(".internal");
      assertThat(export.targets())
          .as("who sees %s", export.source())
          .isEqualTo(internal ? Set.of(ROOT + ".latent") : Set.of());
      if (!internal) {
        exported.add(export.source());
      }
    }
    assertThat(publicTypes(exported, true))
        .containsExactly(
            "Audit",
            "ContextUNet",
            "Pretrained",
            "PublishedUNet",
            "ServingFactory",
            "UNet",
            "UNetBuilder",
            "UNetConfig",
            "UNetLayout");
    assertThat(publicTypes(exported, false))
        .containsExactly(
            "ContextUNet$Config",
            "Pretrained$Options",
            "Pretrained$Progress",
            "UNet$Execution",
            "UNet$Precision",
            "UNetConfig$DownsamplePadding",
            "UNetConfig$TimeDivisor",
            "UNetConfig$TimeOrder",
            "UNetLayout$Activation",
            "UNetLayout$Attention",
            "UNetLayout$AttentionNorm",
            "UNetLayout$Block",
            "UNetLayout$Blocks",
            "UNetLayout$ClassPlace",
            "UNetLayout$Down",
            "UNetLayout$Embedding",
            "UNetLayout$Frequencies",
            "UNetLayout$Norm",
            "UNetLayout$Order",
            "UNetLayout$Outer",
            "UNetLayout$Resampling",
            "UNetLayout$Time",
            "UNetLayout$Transformers",
            "UNetLayout$Up",
            "UNetLayout$WidthChange");
  }

  private static ModuleDescriptor module() throws IOException, URISyntaxException {
    try (InputStream in = Files.newInputStream(classes().resolve("module-info.class"))) {
      return ModuleDescriptor.read(in);
    }
  }

  /** Where the classes of the module lie, without those of its tests. */
  private static Path classes() throws URISyntaxException {
    return Path.of(UNet.class.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static List<String> publicTypes(Set<String> packages, boolean topLevel) {
    return CLASSES.stream()
        .filter(type -> packages.contains(type.getPackageName()))
        .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
        .filter(type -> type.isTopLevelClass() == topLevel)
        .map(type -> type.getName().substring(type.getPackageName().length() + 1))
        .sorted()
        .toList();
  }

  /** ServiceLoader looks in one place on the module path and in another on the class path. */
  @Test
  void provider_onBothPaths_isTheSame() throws IOException, URISyntaxException {
    String service = DenoiserProvider.class.getName();
    List<String> providers =
        List.of(UNetProvider.class.getName(), ContextUNetProvider.class.getName());
    assertThat(module().provides())
        .singleElement()
        .satisfies(
            provides -> {
              assertThat(provides.service()).isEqualTo(service);
              assertThat(provides.providers()).containsExactlyElementsOf(providers);
            });
    assertThat(classes().resolve("META-INF/services/" + service))
        .content()
        .isEqualToIgnoringNewLines(String.join("", providers));
  }
}
